"""Name or file -> arrays of stated shape, dtype and split, with a content hash.

Three parts: test, validation, train. What a sweep loads (`load`) never reads the test images; only a retrain asks for
them (`load_test`, or a config that says `validation = "test"`, which a sweep refuses). Axes: N images, H height,
W width, C channels, Y classes.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.config import DataConfig
from sweep.data.labels import Labels, checked_labels, count_classes
from sweep.data.likeness import check_like
from sweep.data.scaling import Images, fit_scaling
from sweep.data.sources import Pair, read_pool, source
from sweep.data.splits import fold, stratified
from sweep.errors import DataError


@dataclass(frozen=True)
class Dataset:
    """What training sees: images float32 (N, H, W, C), labels int32 (N,) in 0..Y-1; the test part is not here.

    The validation part is empty where the config trains on it too.
    """

    x_train: Images
    y_train: Labels
    x_validation: Images
    y_validation: Labels
    num_classes: int
    content_hash: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.x_train.shape[1:]


@lru_cache(maxsize=4)
def load(config: DataConfig) -> Dataset:
    """Train and validation parts, scaled by statistics of the train part alone. DataError if they cannot be had.

    >>> load(DataConfig()).x_train.shape
    (1149, 8, 8, 1)
    """
    train, validation, num_classes, content_hash = _split(config)
    scale = fit_scaling(train[0], config)
    return Dataset(scale(train[0]), train[1], scale(validation[0]), validation[1], num_classes, content_hash)


@lru_cache(maxsize=1)
def load_test(config: DataConfig) -> tuple[Images, Labels]:
    """The test part, scaled as `load` scales. For `retrain` alone."""
    train, _, num_classes, _ = _split(config)
    images, labels = _test_part(config, num_classes, train[0])
    return fit_scaling(train[0], config)(images), labels


def _split(config: DataConfig) -> tuple[Pair, Pair, int, str]:
    images, labels = read_pool(config)
    images, num_classes = _with_channels(images), count_classes(labels)
    labels = checked_labels(labels, num_classes)
    content_hash = _content_hash(images, labels)
    train, validation = _train_and_validation(images, labels, num_classes, config)
    if config.num_train is not None and config.num_train != len(train[1]):
        _, train = stratified(*train, config.num_train, config.split_seed, "num_train")
    if config.train_on == "train+validation":
        train = np.concatenate([train[0], validation[0]]), np.concatenate([train[1], validation[1]])
        validation = validation[0][:0], validation[1][:0]
    return train, validation, num_classes, content_hash


def _train_and_validation(
    images: NDArray[Any], labels: NDArray[Any], num_classes: int, config: DataConfig
) -> tuple[Pair, Pair]:
    if config.validation == "test":
        return (images, labels), _test_part(config, num_classes, images)
    if config.fold is not None:
        return fold(images, labels, config)
    num_validation = config.num_validation or math.ceil(config.validation_fraction * len(labels))
    return stratified(images, labels, num_validation, config.split_seed, "num_validation")


def _test_part(config: DataConfig, num_classes: int, others: NDArray[Any]) -> Pair:
    images, labels = source(config).read_test()
    images = _with_channels(images)
    check_like(images, others)
    return images, checked_labels(labels, num_classes)


def _with_channels(images: NDArray[Any]) -> NDArray[Any]:
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype.kind not in "iuf" or not len(images):
        raise DataError(
            f"images have shape {images.shape} and kind {images.dtype}; "
            "numbers of shape (N, H, W) or (N, H, W, C) are wanted"
        )
    if not np.isfinite(images).all():
        raise DataError("images hold NaN or infinity; clean them first")
    return images


def _content_hash(images: NDArray[Any], labels: NDArray[Any]) -> str:
    """SHA-256 over shape, dtype and bytes of the raw images and labels that are not test."""
    digest = hashlib.sha256()
    for array in (images, labels):
        digest.update(f"{array.shape}{array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
