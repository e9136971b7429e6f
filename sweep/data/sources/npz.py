"""A NumPy file of images and labels, with names such as `x, y`, `x_train, y_train` or `train_images, train_labels`.

Validation and test parts in it are parts too. Other names are given as options.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from sweep.data.arrays import Arrays, Pair
from sweep.data.labels import plain_labels
from sweep.errors import DataError

TRAIN = (("x", "y"), ("x_train", "y_train"), ("train_images", "train_labels"))  # names of a part's arrays
VALIDATION = (*((f"x_{name}", f"y_{name}") for name in ("val", "valid", "validation")), ("val_images", "val_labels"))
TEST = (("x_test", "y_test"), ("test_images", "test_labels"))


def load(
    path: str,
    x: str | None = None,
    y: str | None = None,
    x_val: str | None = None,
    y_val: str | None = None,
    x_test: str | None = None,
    y_test: str | None = None,
) -> Arrays:
    """Return the parts that the file contains, each of which is read when it is needed.

    Args:
        path: The file.
        x: Name of the array of training images. Default: the one of `TRAIN` that the file contains.
        y: Name of their labels.
        x_val: Name of the array of validation images. Default: as for `x`, if there is one.
        y_val: Name of their labels.
        x_test: Name of the array of test images. Default: as for `x`, if there is one.
        y_test: Name of their labels.

    Raises:
        DataError: It is no such file, or an array is missing.
    """
    file = Path(path)
    held = _names(file)
    train = _part(file, held, ("x", x), ("y", y), TRAIN)
    validation = _part(file, held, ("x_val", x_val), ("y_val", y_val), VALIDATION)
    test = _part(file, held, ("x_test", x_test), ("y_test", y_test), TEST)
    if train is None:
        raise DataError(
            f"{file}: contains {sorted(held)}; it must contain arrays x, y or x_train, y_train, or data.options must "
            'name them, as in options = { x = "images", y = "labels" }'
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


def _part(
    file: Path,
    held: set[str],
    x: tuple[str, str | None],
    y: tuple[str, str | None],
    usual: Sequence[tuple[str, str]],
) -> tuple[str, str] | None:
    """Names of a part's images and labels: as the options say, else the usual ones; None if there are none."""
    if x[1] is None and y[1] is None:
        return _usual_part(file, held, usual)
    for option, name in (x, y):
        if name is None:
            raise DataError(f"data.options.{option} is missing, images and labels go together; add it")
        if name not in held:
            raise DataError(f"data.options.{option}: {file} contains no '{name}'; it contains {sorted(held)}")
    return str(x[1]), str(y[1])


def _usual_part(file: Path, held: set[str], usual: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """DataError if one array is there without the other, or a part twice."""
    given = [pair for pair in usual if held & {*pair}]
    if len(given) > 1:
        raise DataError(f"{file}: contains {given[0][0]} and {given[1][0]}; remove one, or name one in data.options")
    missing = next((name for pair in given for name in pair if name not in held), None)
    if missing is not None:
        raise DataError(f"{file}: {missing} is missing, images and labels go together; add it")
    return given[0] if given else None


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
