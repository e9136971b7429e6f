"""What a data source is, and what it gives. To add a source is to write one function, here or in a module of your own.

# my_images.py, named by [data] name = "my_images:load", options = { size = 32 }
def load(size):
    return Arrays(train=(images, labels), test=lambda: read_test_images(size))
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

Pair = tuple[NDArray[Any], NDArray[Any]]  # images (N, H, W) or (N, H, W, C), labels (N,)
Part = Pair | Callable[[], Pair]  # or what reads it, called only when the part is needed


@dataclass(frozen=True, eq=False)
class Arrays:
    """Parts of images and labels, as they are in their source: neither scaled nor shuffled.

    Attributes:
        train: What is trained on. A validation part is split off it, and so is a test part, where these are not given.
        validation: What a sweep scores on.
        test: What `retrain` alone evaluates on. A sweep never calls what reads it, and never looks at it.
        class_names: Of class 0, 1, ..., where labels are these numbers.
    """

    train: Part
    validation: Part | None = None
    test: Part | None = None
    class_names: Sequence[str] | None = None


class Source(Protocol):
    """A function. Which keys of `[data]` it reads, its parameters say: `path`, and any others from `options`."""

    def __call__(self, **options: Any) -> Arrays:
        """The arrays, the same at every call: it is called anew in each worker, and when a study is resumed."""
