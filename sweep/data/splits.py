"""Which images are trained on and which are validated on, as ascending rows of one array."""

import math

import numpy as np
from numpy.typing import NDArray

from sweep.config import DataConfig
from sweep.data.labels import Labels
from sweep.errors import DataError

Rows = NDArray[np.int32]


def train_and_validation(labels: Labels, config: DataConfig) -> tuple[Rows, Rows]:
    """The parts that the config says, of images with these labels. DataError if the sizes do not fit."""
    if config.fold is not None:
        return _fold(labels, config)
    num_validation = config.num_validation or math.ceil(config.validation_fraction * len(labels))
    return stratified(labels, num_validation, config.split_seed, "num_validation")


def stratified(labels: NDArray[np.integer], num_second: int, seed: int, key: str) -> tuple[Rows, Rows]:
    """Split off `num_second` with the classes in proportion."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(labels), dtype=np.int32)
    try:
        first, second = train_test_split(rows, test_size=num_second, stratify=labels, random_state=seed)
    except ValueError as error:
        reason = " ".join(str(error).split())  # scikit-learn may list classes over many lines
        raise DataError(f"data.{key} = {num_second} does not fit {len(labels)} images: {reason}") from None
    return np.sort(first), np.sort(second)


def _fold(labels: Labels, config: DataConfig) -> tuple[Rows, Rows]:
    """scikit-learn's StratifiedKFold, shuffled by the split seed: every image is in one fold's validation part."""
    from sklearn.model_selection import StratifiedKFold

    assert config.num_folds is not None
    assert config.fold is not None
    least = int(np.bincount(labels).min())
    if config.num_folds > least:
        raise DataError(f"data.num_folds = {config.num_folds} does not fit: a class has {least} images; use fewer")
    folds = StratifiedKFold(config.num_folds, shuffle=True, random_state=config.split_seed)
    first, second = [*folds.split(labels, labels)][config.fold - 1]
    return first.astype(np.int32), second.astype(np.int32)
