"""Which images are trained on and which are validated on, as ascending rows of one array."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.config.data import DEFAULT_VALIDATION_SPLIT, DataConfig
from sweep.data.labels import Labels
from sweep.errors import DataError
from sweep.text import counted

Rows = NDArray[np.int32]


def train_and_validation(
    labels: Labels, names: Sequence[str], num_brought: int, config: DataConfig
) -> tuple[Rows, Rows]:
    """The parts that the config says. DataError if the sizes do not fit.

    Args:
        labels: Class numbers of all images that are not test.
        names: Of the classes.
        num_brought: Images at the end that the source brings as its validation part; folds are of all images.
        config: The data section.
    """
    if config.fold is not None:
        return _fold(labels, names, config)
    if num_brought:
        _check_no_size_is_given(config)
        train, validation = np.split(np.arange(len(labels), dtype=np.int32), [len(labels) - num_brought])
        return train, validation
    if config.num_validation is not None:
        num_validation, said = config.num_validation, f"data.num_validation = {config.num_validation}"
    else:
        num_validation = math.ceil(config.validation_split * len(labels))
        said = f"data.validation_split = {config.validation_split}"
    return stratified(labels, num_validation, config.split_seed, said, names)


def stratified(
    labels: NDArray[Any], num_second: int, seed: int, said: str, names: Sequence[str] | None = None
) -> tuple[Rows, Rows]:
    """Split off `num_second` with the classes in proportion.

    Args:
        labels: Class numbers, or labels of any form.
        num_second: Size of the second part.
        seed: Of the shuffling.
        said: The key that asks for this size, with its value, for an error.
        names: Of the classes, where labels are their numbers.
    """
    from sklearn.model_selection import train_test_split

    rows, (values, counts) = np.arange(len(labels), dtype=np.int32), np.unique(labels, return_counts=True)
    if len(counts) and counts.min() == 1:
        lonely = values[counts.argmin()]
        name = lonely if names is None else names[lonely]
        raise DataError(f"class {name} has 1 image, but each part needs one; add images, or remove the class")
    try:
        first, second = train_test_split(rows, test_size=num_second, stratify=labels, random_state=seed)
    except ValueError as error:
        reason = " ".join(str(error).split())  # scikit-learn may list classes over many lines
        raise DataError(f"{said} does not fit {len(labels)} images: {reason}") from None
    return np.sort(first), np.sort(second)


def _check_no_size_is_given(config: DataConfig) -> None:
    for key in ("num_validation", "validation_split"):
        if getattr(config, key) not in (None, DEFAULT_VALIDATION_SPLIT):
            raise DataError(
                f"data.{key} has no effect: {config.path or config.name} has its own validation part; remove it"
            )


def _fold(labels: Labels, names: Sequence[str], config: DataConfig) -> tuple[Rows, Rows]:
    """scikit-learn's StratifiedKFold, shuffled by the split seed: every image is in one fold's validation part."""
    from sklearn.model_selection import StratifiedKFold

    assert config.num_folds is not None
    assert config.fold is not None
    counts = np.bincount(labels)
    rarest, least = names[int(counts.argmin())], int(counts.min())
    if config.num_folds > least:
        fix = f"use at most {least} folds" if least > 1 else "add images of it, or remove it"
        raise DataError(
            f"{config.num_folds} folds (study.cross_validation, data.num_folds) do not fit: "
            f"class {rarest} has {counted(least, 'image')}, and each fold needs one; {fix}"
        )
    folds = StratifiedKFold(config.num_folds, shuffle=True, random_state=config.split_seed)
    first, second = [*folds.split(labels, labels)][config.fold - 1]
    return first.astype(np.int32), second.astype(np.int32)
