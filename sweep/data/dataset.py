"""A config -> the images of its name or file, once, with the rows to train and to validate on, and their scaling.

Three parts: test, validation, train. What a sweep loads (`load`) never reads the test images; only a retrain asks for
them (`load_raw_test`, or a config that says `validation = "test"`, which a sweep refuses). Axes: N images, H height,
W width, C channels, Y classes.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from sweep.config.data import DataConfig
from sweep.data.labels import Labels
from sweep.data.pool import Pool, make_pool
from sweep.data.scaling import Images, Scaling, fit_scaling
from sweep.data.sources import PoolKey, pool_key, read_pool, read_test
from sweep.data.splits import Rows, stratified, train_and_validation

MOST_DATASETS = 16  # rows of as many configs are kept; folds share their pool
_pools: WeakValueDictionary[PoolKey, Pool] = WeakValueDictionary()  # those that a dataset in use holds


@dataclass(frozen=True, eq=False)
class Dataset:
    """What training sees: one array of images as in their source, and rows of it; the test part is not here.

    The validation part is empty where the config trains on it too.
    """

    pool: Pool
    train: Rows
    validation: Rows
    scaling: Scaling

    @property
    def images(self) -> NDArray[Any]:
        """(N, H, W, C) in the dtype of their source: not scaled."""
        return self.pool.images

    @property
    def labels(self) -> Labels:
        """(N,) int32 in 0..Y-1."""
        return self.pool.labels

    @property
    def num_classes(self) -> int:
        """Y."""
        return len(self.class_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of class 0, 1, ...; a number's name is its digits."""
        return self.pool.classes.names

    @property
    def content_hash(self) -> str:
        """Of the raw images and labels that are not test."""
        return self.pool.content_hash

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.images.shape[1:]

    @property
    def x_train(self) -> Images:
        """The images to train on, scaled: computed anew at each use, for Keras's own `fit`."""
        return self.scaling(self.images, self.train)

    @property
    def y_train(self) -> Labels:
        """Their labels."""
        return self.labels[self.train]

    @property
    def x_validation(self) -> Images:
        """The images to validate on, as `x_train`."""
        return self.scaling(self.images, self.validation)

    @property
    def y_validation(self) -> Labels:
        """Their labels."""
        return self.labels[self.validation]

    @property
    def image_range(self) -> str:
        """What the model is fed: `[0, 1]`, of all images that are not test."""
        ends = self.scaling(np.stack([self.images.min(axis=0), self.images.max(axis=0)]))
        return f"[{ends.min():.3g}, {ends.max():.3g}]"

    def sample(self, num_images: int) -> Images:
        """The first images to train on, scaled."""
        return self.scaling(self.images, self.train[:num_images])


@lru_cache(maxsize=MOST_DATASETS)
def load(config: DataConfig) -> Dataset:
    """Train and validation parts, with a scaling of the train part alone. DataError if they cannot be had.

    >>> load(DataConfig()).x_train.shape
    (1149, 8, 8, 1)
    """
    pool = _pool(config)
    if config.validation == "test":
        return _with_test(pool, config)
    names = pool.classes.names
    train, validation = train_and_validation(pool.labels, names, pool.num_validation, config)
    train = _cut(train, pool, config)
    if config.train_on == "train+validation":
        train, validation = np.concatenate([train, validation]), validation[:0]
    return Dataset(pool, train, validation, fit_scaling(pool.images, train, config))


@lru_cache(maxsize=1)
def load_raw_test(config: DataConfig) -> tuple[NDArray[Any], Labels]:
    """The test part: images (N, H, W, C), or (N, H, W), as they are in their source. For `retrain` alone.

    Raises:
        DataError: It cannot be read, or it is not of the kind that is trained on.

    """
    images, labels = read_test(config)
    return images, load(config).pool.checked_test((images, labels))[1]


def _pool(config: DataConfig) -> Pool:
    key = pool_key(config)
    pool = _pools.get(key) or make_pool(read_pool(config))
    _pools[key] = pool
    return pool


def _with_test(pool: Pool, config: DataConfig) -> Dataset:
    """All that is not test to train on, or `num_train` of it, and the test part to validate on."""
    num_images, both = len(pool.labels), pool.with_test(read_test(config))
    train, validation = np.split(np.arange(len(both.labels), dtype=np.int32), [num_images])
    train = _cut(train, pool, config)
    return Dataset(both, train, validation, fit_scaling(both.images, train, config))


def _cut(train: Rows, pool: Pool, config: DataConfig) -> Rows:
    """`num_train` of the rows, if the config says so, with the classes in proportion."""
    if config.num_train in (None, len(train)):
        return train
    said = f"data.num_train = {config.num_train}"
    _, rows = stratified(pool.labels[train], config.num_train, config.split_seed, said, pool.classes.names)
    return train[rows]
