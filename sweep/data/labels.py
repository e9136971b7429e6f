"""Labels of the forms they come in -> classes with names, and class numbers 0 .. Y-1.

Read are whole numbers (with gaps, negative, as floats), booleans, text, columns (N, 1) and one-hot rows (N, Y).
Axes: N images, Y classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.config.plain_values import CONTROL, short_repr
from sweep.errors import DataError

Labels = NDArray[np.int32]
MAX_NAMED = 5  # classes in a message


class Classes:
    """The classes that occur, in their order: of numbers by value, of text by the alphabet."""

    def __init__(self, labels: NDArray[Any], names: Sequence[str] | None = None) -> None:
        """Of `plain_labels`; DataError unless there are two classes or more.

        Args:
            labels: Of the images that are not test.
            names: Of the classes 0, 1, ..., where labels are these numbers; not each of them has to occur.
        """
        self._values = np.unique(labels)
        self.given_names = names
        self._names = None if names is None else self._of_numbers(names)
        if len(self._values) < 2:
            raise DataError(f"all labels are {self.names[0]}; a classifier needs at least two classes")
        strange = next((name for name in self.names if CONTROL.search(name)), None)
        if strange is not None:
            raise DataError(f"label {short_repr(strange)} contains control characters; remove them")

    @property
    def names(self) -> tuple[str, ...]:
        """Of class 0, 1, ...; a number's name is its digits, unless the source has names."""
        return self._names or tuple(map(str, self._values.tolist()))

    @property
    def are_numbers(self) -> bool:
        """Whether labels are the class numbers 0 .. Y-1 already."""
        return self._values.dtype.kind in "iu" and bool((self._values == np.arange(len(self._values))).all())

    def _of_numbers(self, names: Sequence[str]) -> tuple[str, ...]:
        if self._values.dtype.kind not in "iu" or self._values[0] < 0 or self._values[-1] >= len(names):
            raise DataError(
                f"there are {len(names)} class_names, so labels must be integers from 0 to {len(names) - 1}; "
                f"they go from {self._values[0]} to {self._values[-1]}"
            )
        return tuple(names[value] for value in self._values.tolist())

    def decode(self, numbers: Labels) -> NDArray[Any]:
        """The labels of these class numbers, as they are in their source."""
        values: NDArray[Any] = self._values[numbers]
        return values

    def encode(self, labels: NDArray[Any], part: str) -> Labels:
        """Class numbers (N,); DataError if a label is none of the classes.

        Args:
            labels: Of `plain_labels`.
            part: Whose labels they are, for the error: `test`.
        """
        if (labels.dtype.kind == "U") != (self._values.dtype.kind == "U"):
            kinds = ("text", "numbers") if labels.dtype.kind == "U" else ("numbers", "text")
            raise DataError(
                f"the {part} labels are {kinds[0]}, the training labels are {kinds[1]}; use one form for both"
            )
        strange = np.setdiff1d(labels, self._values)
        if len(strange):
            named = ", ".join(map(str, strange[:MAX_NAMED].tolist()))
            more = ", ..." if len(strange) > MAX_NAMED else ""
            raise DataError(
                f"the {part} labels contain {named}{more}, which no training image has; "
                "add training images of these classes, or remove them"
            )
        return np.searchsorted(self._values, labels).astype(np.int32)


def plain_labels(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels of any form -> (N,) of integers or text. DataError if they are of no form that is read."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        labels = _of_one_hot(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iufbUS":
        raise DataError(
            f"labels have shape {labels.shape} and dtype {labels.dtype}; they must be integers, booleans or strings "
            "of shape (N,) or (N, 1), or one-hot rows (N, classes)"
        )
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "utf-8", "backslashreplace")  # two names stay two
    if labels.dtype.kind == "b":
        return labels.astype(np.str_)  # False, True
    if labels.dtype.kind == "f":
        _check_are_whole(labels)
    if labels.dtype.kind in "uf":
        _check_are_exact(labels)
    return labels if labels.dtype.kind == "U" else labels.astype(np.int64)


def _of_one_hot(labels: NDArray[Any]) -> NDArray[Any]:
    if labels.dtype.kind not in "iufb" or not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
        raise DataError(
            f"labels have shape {labels.shape}, and rows that are not one-hot (a single 1, else 0); "
            "give each image the number or the name of its class"
        )
    return np.asarray(labels.argmax(axis=1))


def _check_are_whole(labels: NDArray[Any]) -> None:
    fractional = labels[~np.isfinite(labels) | (labels != np.floor(labels))]
    if len(fractional):
        raise DataError(f"labels are fractions such as {fractional[0]:g}; they must be the numbers or names of classes")


def _check_are_exact(labels: NDArray[Any]) -> None:
    """As 64-bit integers, or as floats, in which neighbours beyond 2**53 are one number."""
    most = 2.0**53 if labels.dtype.kind == "f" else np.iinfo(np.int64).max
    large = labels[np.abs(labels) > most]
    if len(large):
        raise DataError(f"labels are as large as {large[0]:g}; give the classes smaller numbers, or names")
