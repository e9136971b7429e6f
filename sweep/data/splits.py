"""Which images are trained on and which are validated on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.config import DataConfig
from sweep.errors import DataError

Pair = tuple[NDArray[Any], NDArray[Any]]


def fold(images: NDArray[Any], labels: NDArray[Any], config: DataConfig) -> tuple[Pair, Pair]:
    """scikit-learn's StratifiedKFold, shuffled by the split seed: every image is in one fold's validation part."""
    from sklearn.model_selection import StratifiedKFold

    assert config.num_folds is not None
    assert config.fold is not None
    least = int(np.bincount(labels).min())
    if config.num_folds > least:
        raise DataError(f"data.num_folds = {config.num_folds} does not fit: a class has {least} images; use fewer")
    folds = StratifiedKFold(config.num_folds, shuffle=True, random_state=config.split_seed)
    first, second = [*folds.split(labels, labels)][config.fold - 1]
    return (images[first], labels[first]), (images[second], labels[second])


def stratified(images: NDArray[Any], labels: NDArray[Any], num_second: int, seed: int, key: str) -> tuple[Pair, Pair]:
    """Split off `num_second` images with the classes in proportion."""
    from sklearn.model_selection import train_test_split

    try:
        first, second = train_test_split(
            np.arange(len(labels)), test_size=num_second, stratify=labels, random_state=seed
        )
    except ValueError as error:
        reason = " ".join(str(error).split())  # scikit-learn may list classes over many lines
        raise DataError(f"data.{key} = {num_second} does not fit {len(labels)} images: {reason}") from None
    first, second = np.sort(first), np.sort(second)
    return (images[first], labels[first]), (images[second], labels[second])
