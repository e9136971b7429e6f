"""All images that are not test: checked, with their labels and a content hash, held once however they are split."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.arrays import Pair
from sweep.data.chunks import chunks
from sweep.data.compatibility import check_compatible
from sweep.data.labels import Classes, Labels
from sweep.data.reading import RawPool
from sweep.errors import DataError


@dataclass(frozen=True, eq=False)
class Pool:
    """Images (N, H, W, C) in the dtype of their source, labels int32 (N,) in 0..Y-1."""

    images: NDArray[Any]
    labels: Labels
    classes: Classes
    content_hash: str
    num_validation: int = 0  # images at the end that the source brings as its validation part

    @property
    def raw(self) -> RawPool:
        """What an equal pool is made of, in another process."""
        return RawPool(self.images, self.classes.decode(self.labels), self.num_validation, self.classes.given_names)

    def checked_test(self, pair: Pair) -> tuple[NDArray[Any], Labels]:
        """Images and labels of the test part. DataError if they are not like the pool's."""
        images = with_channels(pair[0])
        check_compatible(images, self.images)
        return images, self.classes.encode(pair[1], "test")

    def with_test(self, pair: Pair) -> "Pool":
        """A pool that ends with the test part."""
        images, labels = self.checked_test(pair)
        both = np.concatenate([self.images, images]), np.concatenate([self.labels, labels])
        return Pool(*both, self.classes, self.content_hash)


def make_pool(raw: RawPool) -> Pool:
    """Check what was read. DataError if it is not usable."""
    images, classes = with_channels(raw.images), Classes(raw.labels, raw.class_names)
    labels = classes.encode(raw.labels, "train")
    are_whole = raw.labels.dtype.kind in "iu"
    hashed = raw.labels.astype(np.int32) if are_whole else labels
    return Pool(images, labels, classes, _content_hash(images, hashed, classes, raw.num_validation), raw.num_validation)


def with_channels(images: NDArray[Any]) -> NDArray[Any]:
    """(N, H, W) -> (N, H, W, 1). DataError if they are no finite numbers of such a shape."""
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype.kind not in "iuf" or not images.size:
        raise DataError(
            f"images have shape {images.shape} and dtype {images.dtype}; "
            "they must be numbers of shape (N, H, W) or (N, H, W, C)"
        )
    if images.dtype.kind == "f" and not all(np.isfinite(images[chunk]).all() for chunk in chunks(images)):
        raise DataError("images contain NaN or infinity; remove them first")
    return images


def _content_hash(images: NDArray[Any], labels: NDArray[Any], classes: Classes, num_validation: int) -> str:
    """SHA-256 over shape, dtype and bytes of the raw images and labels that are not test.

    Where they are read otherwise than by the first versions (classes that are not 0 .. Y-1, a validation part that
    the source brings), what follows a dot says so: studies of those versions had other models, or other parts.
    """
    num_train = len(labels) - num_validation
    parts = [_hash(images[:num_train], labels[:num_train])]
    if not classes.are_numbers:
        parts.append(f"classes-{hashlib.sha256(repr(classes.names).encode()).hexdigest()[:12]}")
    if num_validation:
        parts.append(f"validation-{_hash(images[num_train:], labels[num_train:])[:12]}")
    return ".".join(parts)


def _hash(*arrays: NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype.str}".encode())
        for chunk in chunks(array):
            digest.update(np.ascontiguousarray(array[chunk]).data)
    return digest.hexdigest()
