"""A config -> the images of its name or file, once, with the rows to train and to validate on, and their scaling.

Three parts: test, validation, train. What a sweep loads (`load`) never reads the test images; only a retrain asks for
them (`load_raw_test`, or a config that says `validation = "test"`, which a sweep refuses). Axes: N images, H height,
W width, C channels, Y classes.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from sweep.config.data import DataConfig
from sweep.data.arrays import Pair
from sweep.data.labels import Labels
from sweep.data.pool import Pool, make_pool
from sweep.data.reading import PoolKey, pool_key, read_pool, read_test
from sweep.data.scaling import Images, Scaling, fit_scaling
from sweep.data.splits import Rows, stratified, train_and_validation
from sweep.errors import DataError

OTHER_IMAGES = (
    "it returns different images or labels at each call; make them deterministic (a fixed seed, a fixed order)"
)
MAX_CACHED_DATASETS = 16  # rows of as many configs are kept; folds share their pool
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
        low, high = self.value_range
        return f"[{low:.3g}, {high:.3g}]"

    @property
    def value_range(self) -> tuple[float, float]:
        """Return the smallest and the largest value that the model is fed, of all images that are not test."""
        ends = self.scaling(np.stack([self.images.min(axis=0), self.images.max(axis=0)]))
        return float(ends.min()), float(ends.max())

    def sample(self, num_images: int) -> Images:
        """The first images to train on, scaled."""
        return self.scaling(self.images, self.train[:num_images])


@lru_cache(maxsize=MAX_CACHED_DATASETS)
def load(config: DataConfig) -> Dataset:
    """Train and validation parts, with a scaling of the train part alone. DataError if they cannot be had.

    >>> load(DataConfig()).x_train.shape
    (1149, 8, 8, 1)
    """
    with _named(config):
        return _load(config)


def clear_cache() -> None:
    """Have images read anew when they are next needed: files and code may change while a process lives."""
    load.cache_clear()
    load_raw_test.cache_clear()
    _pools.clear()


def content_hashes(configs: Iterable[DataConfig]) -> list[tuple[dict[str, Any], str]]:
    """Of the user's sources, for `check_content` in another process: a config's values and its content hash."""
    return [(config.values(), load(config).content_hash) for config in configs if config.user_code is not None]


def check_content(config: DataConfig, content_hash: str) -> None:
    """DataError if a process that the study's own has started finds other images than that one has."""
    if load(config).content_hash != content_hash:
        with _named(config):
            raise DataError(OTHER_IMAGES)


def _load(config: DataConfig) -> Dataset:
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
    pool = load(config).pool
    with _named(config):
        images, labels = _read_test(config, pool)
        return images, pool.checked_test((images, labels))[1]


def _read_test(config: DataConfig, pool: Pool) -> Pair:
    """Of a user's source too, the images that were not trained on: it is called anew for them."""
    if config.user_code is not None and make_pool(read_pool(config)).content_hash != pool.content_hash:
        raise DataError(OTHER_IMAGES)
    return read_test(config)


@contextmanager
def _named(config: DataConfig) -> Iterator[None]:
    """Whatever is wrong with the images that a user's source gives, the message names it."""
    try:
        yield
    except DataError as error:
        if config.user_code is None:
            raise
        raise DataError(f"data.name: {config.name}: {error}") from error


def _pool(config: DataConfig) -> Pool:
    key = pool_key(config)
    pool = _pools.get(key) or make_pool(read_pool(config))
    _pools[key] = pool
    return pool


def _with_test(pool: Pool, config: DataConfig) -> Dataset:
    """All that is not test to train on, or `num_train` of it, and the test part to validate on."""
    num_images, both = len(pool.labels), pool.with_test(_read_test(config, pool))
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
