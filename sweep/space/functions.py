"""Objectives that are plain functions of the params: the built-in test functions, and finding a user's own.

A built-in name is data. `module:function` names a user's code, which runs only where it is looked for.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from sweep.errors import SpaceError
from sweep.plugins.user_code import import_code

OWN_FUNCTION = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"


def beale(x: float, y: float) -> float:
    """Beale's function, usually on [-4.5, 4.5]^2; its minimum is 0, at (3, 0.5).

        f(x, y) = (1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2

    E. M. L. Beale, On an iterative method for finding a local minimum of a function of more than one variable (1958);
    number 5 in Moré, Garbow and Hillstrom, Testing Unconstrained Optimization Software, ACM TOMS 7 (1981).

    >>> beale(3.0, 0.5)
    0.0
    """
    return float((1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2)


BUILT_IN: dict[str, Callable[..., Any]] = {"beale": beale}


def is_own(function: str) -> bool:
    """Return whether the name is one of user code."""
    return ":" in function


def find_function(function: str) -> Callable[..., Any]:
    """Return the built-in function, or import `module:function`. Raise SpaceError if it does not exist."""
    if not is_own(function):
        return BUILT_IN[function]
    return import_code(function, "study.function")


def check_calls(function: str, calls: Iterable[Iterable[str]]) -> None:
    """Raise SpaceError unless the function can be called with each of these sets of parameter names."""
    found = find_function(function)
    try:
        signature = inspect.signature(found)
    except ValueError:  # of some functions in C
        return
    for names in calls:
        try:
            signature.bind(**dict.fromkeys(names))
        except TypeError as error:
            given = ", ".join(names) or "no parameters"
            raise SpaceError(
                f"study.function: {function}{signature} cannot be called with {given}: {error}; "
                "name the parameters of [space] as the function does"
            ) from None
