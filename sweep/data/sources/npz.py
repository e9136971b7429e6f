"""A NumPy file of arrays `x, y` or `x_train, y_train`; `x_val, y_val` and `x_test, y_test` in it are parts too."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from sweep.data.arrays import Arrays, Pair
from sweep.data.labels import plain_labels
from sweep.errors import DataError

PARTS = (("", "_train"), ("_val", "_valid", "_validation"), ("_test",))  # how names of a part's arrays end


def load(path: str) -> Arrays:
    """The parts that the file holds, each read when it is needed. DataError if it is no such file."""
    file = Path(path)
    held = _names(file)
    train, validation, test = (_names_of_part(file, held, ends) for ends in PARTS)
    if train is None:
        raise DataError(
            f"{file}: contains {sorted(held)}; it must contain arrays x, y or x_train, y_train; "
            "x_val, y_val and x_test, y_test are read too"
        )
    return Arrays(
        train=partial(_read, file, *train),
        validation=validation and partial(_read, file, *validation),
        test=test and partial(_read, file, *test),
    )


def _names(file: Path) -> set[str]:
    try:
        if file.exists() and not file.is_file():
            raise ValueError("it is not a file")  # a pipe or a device may never end
        with file.open("rb") as opened:
            if opened.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
                raise ValueError("it is a single array; save images and labels with np.savez(file, x=..., y=...)")
            opened.seek(0)
            with np.load(opened, allow_pickle=False) as arrays:
                return set(arrays.files)
    except Exception as error:  # zipfile, OS and NumPy errors alike: the file is not a usable npz
        raise DataError(f"{file}: not readable as .npz ({error}); correct data.path") from None


def _names_of_part(file: Path, held: set[str], ends: Sequence[str]) -> tuple[str, str] | None:
    """Names of its images and labels; DataError if one is there without the other, or a part twice."""
    given = [end for end in ends if held & {f"x{end}", f"y{end}"}]
    if len(given) > 1:
        raise DataError(f"{file}: contains x{given[0]} and x{given[1]}; remove one")
    pair = (f"x{given[0]}", f"y{given[0]}") if given else None
    missing = next((name for name in pair or () if name not in held), None)
    if missing is not None:
        raise DataError(f"{file}: {missing} is missing, images and labels go together; add it")
    return pair


def _read(file: Path, x_name: str, y_name: str) -> Pair:
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            images, labels = arrays[x_name], arrays[y_name]
    except Exception as error:  # an object array refuses to load without pickle
        fix = _fix_of_objects(error)
        raise DataError(f"{file}: {x_name} or {y_name} is not a plain array ({error}){fix}") from None
    if images.shape[:1] != labels.shape[:1] or not images.ndim:
        raise DataError(f"{file}: {x_name} of shape {images.shape} and {y_name} of shape {labels.shape} do not match")
    try:
        return images, plain_labels(labels)
    except DataError as error:
        raise DataError(f"{file}: {y_name}: {error}") from None


def _fix_of_objects(error: Exception) -> str:
    """Text in pandas is an array of Python objects."""
    if "Object arrays" not in str(error):
        return ""
    return "; save text labels as y.astype(str), images as an array of numbers"
