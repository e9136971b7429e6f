"""A data source of the user's: whatever it raises or gives is one line. Its arrays are never written to."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.config.data import check_arguments
from sweep.data.arrays import Arrays, Pair
from sweep.data.labels import plain_labels
from sweep.errors import DataError, ends_process
from sweep.plugins.user_code import no_silent_exit
from sweep.text import error_line

WANTED = (
    "return sweep.data.Arrays(train=(images, labels)), or ((x_train, y_train), (x_test, y_test)) as Keras's data sets"
)


def user_arrays(source: Any, arguments: Mapping[str, Any]) -> Arrays:
    """Call it; its parts are checked when they are read. DataError if it raises or gives something else."""
    if not callable(source):
        raise DataError(f"it is a {type(source).__name__}; pass a function")
    try:
        check_arguments(source, "the function", arguments)
    except ValueError as error:
        raise DataError(str(error)) from None
    given = _of_form(_run(partial(source, **arguments)))
    train, validation, test = (getattr(given, part) for part in ("train", "validation", "test"))
    if train is None:
        raise DataError(f"it returns no training images; {WANTED}")
    return Arrays(
        train=partial(_pair, train, "train"),
        validation=None if validation is None else partial(_pair, validation, "validation"),
        test=None if test is None else partial(_pair, test, "test"),
        class_names=_names(given.class_names),
    )


def _run(function: Callable[[], Any]) -> Any:
    """What the user's code returns. DataError whatever it raises."""
    try:
        with no_silent_exit():
            return function()
    except BaseException as error:
        if ends_process(error):
            raise
        raise DataError(f"it raised {error_line(error)}; correct it") from error


def _of_form(given: Any) -> Arrays:
    if isinstance(given, Arrays):
        return given
    if isinstance(given, tuple) and len(given) == 2 and all(isinstance(one, tuple) and len(one) == 2 for one in given):
        return Arrays(train=given[0], test=given[1])
    raise DataError(f"it returns a {type(given).__name__}; {WANTED}")


def _pair(part: Any, name: str) -> Pair:
    """Read a part and check what the rest of this package takes for granted of an array."""
    pair = _run(part) if callable(part) else part
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise DataError(f"its {name} part is a {type(pair).__name__}; it must be (images, labels)")
    images, labels = (_array(one, f"{name} {what}") for one, what in zip(pair, ("images", "labels"), strict=True))
    if images.shape[:1] != labels.shape[:1] or not images.ndim:
        raise DataError(f"its {name} images of shape {images.shape} and labels of shape {labels.shape} do not match")
    try:
        return images, plain_labels(labels)
    except DataError as error:
        raise DataError(f"its {name} {error}") from None


def _array(values: Any, what: str) -> NDArray[Any]:
    """The same memory, not to be written to: it may be a file's, or be given again at the next call."""
    array: NDArray[Any] = _run(lambda: np.asarray(values)).view()
    if array.dtype.kind not in "iufbUS":
        raise DataError(f"its {what} have dtype {array.dtype}; they must be one numeric array")
    array.flags.writeable = False
    return array


def _names(names: Any) -> tuple[str, ...] | None:
    if names is None:
        return None
    texts = names.tolist() if isinstance(names, np.ndarray) else names
    is_list = isinstance(texts, list | tuple) and all(isinstance(name, str) for name in texts)
    if not is_list or len({*texts}) < len(texts):
        raise DataError("its class_names must be a list of distinct strings, in the order of the class numbers")
    return tuple(texts)
