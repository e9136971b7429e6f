"""Images that occur more than once, within a part of the data or in several: their pixels are equal to the bit."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.dataset import Dataset
from sweep.data.labels import Labels
from sweep.data.pool import with_channels
from sweep.system.progress import tracked

Test = tuple[NDArray[Any], Labels]  # images (N, H, W) or (N, H, W, C), class numbers (N,)


@dataclass(frozen=True)
class Duplicates:
    """How many images occur more than once.

    Attributes:
        copies: Training images that equal an earlier one.
        validation_leaks: Validation images that are training images, too.
        test_leaks: Test images that are training or validation images, too.
        conflicts: Different images that occur with several labels.
    """

    copies: int
    validation_leaks: int
    test_leaks: int
    conflicts: int

    def lines(self) -> list[str]:
        """Return what a user should know, in lines; one if there is nothing to worry about."""
        counts = {
            "note: training images that equal another one": self.copies,
            "warning: validation images that are training images, too": self.validation_leaks,
            "warning: test images that are training or validation images, too": self.test_leaks,
            "warning: images that occur with several labels": self.conflicts,
        }
        found = [f"{text}: {number:,}" for text, number in counts.items() if number]
        return found or ["no image occurs twice, within a part or in several"]


def find_duplicates(dataset: Dataset, test: Test) -> Duplicates:
    """Compare the images of all parts by the hashes of their pixels.

    Args:
        dataset: The training and the validation part.
        test: The test part.
    """
    train, validation = (_digests(dataset.images[row] for row in rows) for rows in (dataset.train, dataset.validation))
    tested = _digests(tracked(with_channels(test[0]), len(test[1]), "comparing images"))
    labels = [*dataset.y_train.tolist(), *dataset.y_validation.tolist(), *test[1].tolist()]
    different = {*zip([*train, *validation, *tested], labels, strict=True)}
    labels_of = Counter(digest for digest, _ in different)
    known, earlier = {*train}, {*train, *validation}
    return Duplicates(
        copies=len(train) - len(known),
        validation_leaks=sum(digest in known for digest in validation),
        test_leaks=sum(digest in earlier for digest in tested),
        conflicts=sum(number > 1 for number in labels_of.values()),
    )


def _digests(images: Iterable[NDArray[Any]]) -> list[bytes]:
    return [hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest() for image in images]
