"""The contract of a data source: a function that returns `Arrays`. One function adds a source, ours or yours.

# my_images.py, named by [data] name = "my_images:load", options = { size = 32 }
def load(size):
    return Arrays(train=(images, labels), test=lambda: read_test_images(size))
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from sweep.data.image_files import ImageFiles

Pair = tuple[NDArray[Any], NDArray[Any]]  # images (N, H, W) or (N, H, W, C), labels (N,)
Part = Pair | Callable[[], Pair] | ImageFiles  # or a function that reads it, called only when the part is needed


@dataclass(frozen=True, eq=False)
class Arrays:
    """Images and labels as they are in their source, neither scaled nor shuffled.

    Each part is a pair of arrays, images (N, H, W) or (N, H, W, C) of any numeric dtype and labels (N,), or a function
    that returns such a pair. Or all parts are image files, decoded to one array.

    Attributes:
        train: Training data. If validation or test data is missing, it is split off.
        validation: Validation data, on which a sweep scores.
        test: Test data, which only `retrain` evaluates. A sweep never calls the function that reads it.
        class_names: Names of the classes 0, 1, ..., if labels are these numbers.
    """

    train: Part
    validation: Part | None = None
    test: Part | None = None
    class_names: Sequence[str] | None = None


class Source(Protocol):
    """A function whose parameters are the keys of `[data]` that it reads: `path`, and any others from `options`."""

    def __call__(self, **options: Any) -> Arrays:
        """Return the arrays, the same at every call: each worker and each resumed sweep calls it again.

        Args:
            options: `data.path`, if it is set, and the entries of `data.options`.

        Raises:
            Exception: Anything that it raises ends the command with one line that names the source.
        """
