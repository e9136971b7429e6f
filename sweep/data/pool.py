"""All images that are not test: checked, with their labels and a content hash, held once however they are split."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.chunks import chunks
from sweep.data.labels import Labels, checked_labels, count_classes
from sweep.data.likeness import check_like
from sweep.data.sources import Pair
from sweep.errors import DataError


@dataclass(frozen=True, eq=False)
class Pool:
    """Images (N, H, W, C) in the dtype of their source, labels int32 (N,) in 0..Y-1."""

    images: NDArray[Any]
    labels: Labels
    num_classes: int
    content_hash: str

    def with_test(self, pair: Pair) -> "Pool":
        """A pool that ends with the test part."""
        images, labels = checked_pair(pair, self.num_classes)
        check_like(images, self.images)
        both = np.concatenate([self.images, images]), np.concatenate([self.labels, labels])
        return Pool(*both, self.num_classes, self.content_hash)


def make_pool(pair: Pair) -> Pool:
    """Check what was read. DataError if it is not usable."""
    images, num_classes = with_channels(pair[0]), count_classes(pair[1])
    labels = checked_labels(pair[1], num_classes)
    return Pool(images, labels, num_classes, _content_hash(images, labels))


def checked_pair(pair: Pair, num_classes: int) -> tuple[NDArray[Any], Labels]:
    """Images (N, H, W, C) and labels of at most so many classes."""
    return with_channels(pair[0]), checked_labels(pair[1], num_classes)


def with_channels(images: NDArray[Any]) -> NDArray[Any]:
    """(N, H, W) -> (N, H, W, 1). DataError if they are no finite numbers of such a shape."""
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype.kind not in "iuf" or not len(images):
        raise DataError(
            f"images have shape {images.shape} and kind {images.dtype}; "
            "numbers of shape (N, H, W) or (N, H, W, C) are wanted"
        )
    if images.dtype.kind == "f" and not all(np.isfinite(images[chunk]).all() for chunk in chunks(images)):
        raise DataError("images hold NaN or infinity; clean them first")
    return images


def _content_hash(*arrays: NDArray[Any]) -> str:
    """SHA-256 over shape, dtype and bytes of the raw images and labels that are not test."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype.str}".encode())
        for chunk in chunks(array):
            digest.update(np.ascontiguousarray(array[chunk]).data)
    return digest.hexdigest()
