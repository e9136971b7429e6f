"""A config -> what its source gives, as it is there: all that is not test, and the test part, each read by itself.

Axes: N images, H height, W width, C channels.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweep.config.data import SOURCES, DataConfig
from sweep.data.arrays import Arrays, Pair, Part
from sweep.data.chunks import keep_rows
from sweep.data.compatibility import check_compatible
from sweep.data.image_files import ImageFiles
from sweep.data.splits import Rows, stratified
from sweep.data.user_source import user_arrays
from sweep.errors import DataError

PoolKey = tuple[str, str | None, float, str]


class RawPool(NamedTuple):
    """Images and labels that are not test, as they are in their source; at their end those of `num_validation`."""

    images: NDArray[Any]
    labels: NDArray[Any]  # (N,), numbers or text
    num_validation: int = 0  # images that the source brings as its validation part
    class_names: Sequence[str] | None = None  # of labels that are class numbers


_given_pools: dict[PoolKey, RawPool] = {}  # by the launcher


def pool_key(config: DataConfig) -> PoolKey:
    """What the pool depends on: configs that split or scale it in their own ways share it."""
    return (config.name, config.path, config.test_fraction, json.dumps(config.options, sort_keys=True))


def set_pools(pools: Mapping[PoolKey, RawPool]) -> None:
    """What `read_pool` shall take instead of files: this process's machine may not have them."""
    _given_pools.update(pools)


def read_pool(config: DataConfig) -> RawPool:
    """All that is not test, from its source unless it was given. DataError if it cannot be had."""
    given = _given_pools.get(pool_key(config))
    if given is not None:
        return given
    arrays = _arrays(config)
    if isinstance(arrays.train, ImageFiles):
        files, test, num_validation = _files(arrays, config)
        return RawPool((files + test).pixels()[: len(files)], files.labels, num_validation)
    images, labels = _read(arrays.train) if arrays.test is not None else _part_of_train(arrays, 0, config)
    pool = RawPool(images, labels, 0, arrays.class_names)
    if arrays.validation is None:
        return pool
    return _with_validation(pool, _read(arrays.validation), config.path or config.name)


def read_test(config: DataConfig) -> Pair:
    """The test part, from its source. DataError if it cannot be had."""
    arrays = _arrays(config)
    if isinstance(arrays.train, ImageFiles):
        files, test, _ = _files(arrays, config)
        return (files + test).pixels()[len(files) :], test.labels
    return _read(arrays.test) if arrays.test is not None else _part_of_train(arrays, 1, config)


def _arrays(config: DataConfig) -> Arrays:
    source = SOURCES.get(config.name)
    if config.user_code is not None:
        return user_arrays(source, config.arguments)
    arrays: Arrays = source(**config.arguments)
    return arrays


def _read(part: Part) -> Pair:
    assert not isinstance(part, ImageFiles)
    return part() if callable(part) else part


def _files(arrays: Arrays, config: DataConfig) -> tuple[ImageFiles, ImageFiles, int]:
    """Those that are not test, those that are, and how many at the end of the first are the validation part.

    Both are decoded to one array, so that a damaged file is found before training; a sweep looks at the first alone.
    """
    train, validation, test = arrays.train, arrays.validation, arrays.test
    assert isinstance(train, ImageFiles)
    if test is None:
        kept, split_off = _test_rows(train.labels, config)
        train, test = train[kept], train[split_off]
    assert isinstance(test, ImageFiles)
    if validation is None:
        return train, test, 0
    assert isinstance(validation, ImageFiles)
    return train + validation, test, len(validation)


def _part_of_train(arrays: Arrays, index: int, config: DataConfig) -> Pair:
    """Of a source without a test part: 1 is a seeded stratified part, the same for every split seed of 0, the rest."""
    images, labels = _read(arrays.train)
    rows = _test_rows(labels, config)[index]
    return keep_rows(images, rows), labels[rows]


def _test_rows(labels: NDArray[Any], config: DataConfig) -> tuple[Rows, Rows]:
    num_test = math.ceil(config.test_fraction * len(labels))
    return stratified(labels, num_test, 0, f"data.test_fraction = {config.test_fraction}")


def _with_validation(pool: RawPool, validation: Pair, source: str) -> RawPool:
    """One array of both; DataError where they do not fit each other."""
    images, labels = validation
    if images.dtype != pool.images.dtype or images.shape[1:] != pool.images.shape[1:]:
        raise DataError(
            f"{source}: validation images are {images.dtype} of shape {images.shape[1:]}, "
            f"those to train on {pool.images.dtype} of shape {pool.images.shape[1:]}; make both alike"
        )
    if len(images) and len(pool.images):
        check_compatible(images, pool.images, f"{source}: validation")
    if (labels.dtype.kind == "U") != (pool.labels.dtype.kind == "U"):
        raise DataError(f"{source}: of validation labels and those to train on, one are text; write both alike")
    both = np.concatenate([pool.images, images]), np.concatenate([pool.labels, labels])
    return RawPool(*both, len(labels), pool.class_names)
