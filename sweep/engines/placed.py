"""A dataset's images on the device: one copy for all that train on them, dropped when no run uses it.

Few images are scaled once. Many bytes stay bytes on TensorFlow, and a minibatch of them is divided: in float32 that
gives the same bits as a division in float64 that is rounded, for integers below 2^24. XLA multiplies by the inverse, so
on JAX all are scaled once.

Images in a mapped file that is large for the memory stay there, and calls get their parts: see `sweep.engines.feeding`.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sweep.data import Dataset, Scaling
from sweep.engines.auto import host_memory_bytes
from sweep.engines.weak_lru_cache import WeakLruCache

if TYPE_CHECKING:
    from sweep.engines.backends.base import Backend

MAX_SCALED_BYTES = 2**26  # of images that are scaled once though they take more room then
MAX_IDLE = 1  # copies that no run uses
MEMORY_PARTS = 8  # images of a mapped file are on the device where they fill at most one of so many parts of the memory
STREAMED = "images that are streamed from their file"  # what lanes cannot train on
Rows = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Arrays:
    """Images (M, H, W, C), float32 and scaled or integers as in their source; labels int32 (M,)."""

    images: Any
    labels: Any


@dataclass(frozen=True, eq=False)
class Placed:
    """A dataset on the device; or in a mapped file, where `arrays` are the file's."""

    arrays: Arrays
    divisor: np.float32  # of images that are integers
    train: Rows  # of the arrays
    validation: Rows
    is_streamed: bool = False
    scaling: Scaling | None = None  # that parts of a file still need

    @property
    def key(self) -> Hashable:
        """Equal where minibatches of one program can come from the same arrays, as many of them."""
        return self.arrays, self.divisor, len(self.train), len(self.validation)

    @property
    def bytes_per_image(self) -> int:
        """Bytes of an image on the device."""
        images = self.arrays.images[:1]
        return int(images.size * 4 if self.scaling is not None else images.nbytes)

    def part(self, rows: Rows) -> tuple[NDArray[Any], NDArray[np.int32]]:
        """Return the images and labels of these rows of a mapped file."""
        images, labels = self.arrays.images, self.arrays.labels
        return images[rows] if self.scaling is None else self.scaling(images, rows), labels[rows]


class ImageStore:
    """Puts datasets on the device in use."""

    def __init__(self, backend: "Backend") -> None:
        """Create a store without images on the device of a Keras backend."""
        self._backend = backend
        self._arrays: WeakLruCache[Hashable, Arrays] = WeakLruCache(MAX_IDLE)

    def place(self, dataset: Dataset) -> Placed:
        """Copy a dataset to the device, unless it is streamed."""
        is_scaled = not self._backend.DIVIDES_EXACTLY or _is_scaled_once(dataset.scaling, dataset.images)
        divisor = np.float32(1 if is_scaled else dataset.scaling.divisor)
        if is_streamed(dataset):
            arrays, scaling = Arrays(dataset.images, dataset.labels), dataset.scaling if is_scaled else None
            return Placed(arrays, divisor, dataset.train, dataset.validation, is_streamed=True, scaling=scaling)
        return self._on_device(dataset, divisor, is_scaled=is_scaled)

    def _on_device(self, dataset: Dataset, divisor: np.float32, *, is_scaled: bool) -> Placed:
        """Images that the dataset does not use are left out where they are more than the others."""
        used = np.union1d(dataset.train, dataset.validation)
        train, validation = dataset.train, dataset.validation
        if 2 * len(used) < len(dataset.labels):
            train, validation = (np.searchsorted(used, rows).astype(np.int32) for rows in (train, validation))
            images, labels = dataset.images[used], dataset.labels[used]
        else:
            used, images, labels = used[:0], dataset.images, dataset.labels  # all of them
        scaling = dataset.scaling
        kind = (scaling.offset.tobytes(), scaling.divisor.tobytes()) if is_scaled else None

        def make() -> Arrays:
            put = self._backend.put
            return Arrays(put(scaling(images) if is_scaled else images), put(labels))

        arrays = self._arrays.get((dataset.pool, used.tobytes(), kind), make)
        return Placed(arrays, divisor, train, validation)


def is_streamed(dataset: Dataset) -> bool:
    """Return whether the images of a dataset stay in their file, from which runs get them part by part.

    Which of both is used changes no bit of what is trained.
    """
    images = dataset.images
    return isinstance(images, np.memmap) and images.nbytes > host_memory_bytes() // MEMORY_PARTS


def _is_scaled_once(scaling: Scaling, images: NDArray[Any]) -> bool:
    is_exact_later = images.dtype.kind in "iu" and images.dtype.itemsize <= 2 and scaling.is_division
    return images.size * 4 <= MAX_SCALED_BYTES or not is_exact_later
