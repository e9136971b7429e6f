"""Objectives that are plain functions of the params: the built-in test functions, and finding a user's own.

A built-in name is data. `module:function` names a user's code, which runs only where it is looked for.
"""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from sweep.errors import SpaceError
from sweep.plugins.user_code import import_code

TRIAL = "trial"  # the argument of a function that reports its epochs
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


def takes_trial(function: Callable[..., Any], names: Collection[str]) -> bool:
    """Return whether the function gets the trial: as its argument `trial`, or as its only one where nothing varies."""
    known = _arguments_of(function) or {}
    return (TRIAL in known and TRIAL not in names) or (not names and _only_required(known) is not None)


def _only_required(known: Mapping[str, inspect.Parameter]) -> str | None:
    """The one argument without a default, as of a plain Optuna objective."""
    required = [one for one in known.values() if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    return required[0].name if len(required) == 1 else None


def arguments(function: Callable[..., Any], params: Mapping[str, Any], trial: Any) -> dict[str, Any]:
    """Return the arguments of a call: the params and, where the function has that argument, the trial.

    A function that has no other argument gets the trial alone, and finds the params in it.
    """
    if not takes_trial(function, params):
        return dict(params)
    known = _arguments_of(function) or {}
    if not params and TRIAL not in known:
        return {str(_only_required(known)): trial}
    return {TRIAL: trial} if [*known] == [TRIAL] else {**params, TRIAL: trial}


def _arguments_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """By name; None for some functions in C."""
    try:
        return inspect.signature(function).parameters
    except ValueError:
        return None


def check_calls(function: str, calls: Iterable[Collection[str]], *, prunes: bool = False) -> None:
    """Raise SpaceError unless the function can be called as trials will.

    Args:
        function: A built-in name, or `module:function`.
        calls: The sets of parameter names that trials have.
        prunes: Whether there is a pruner, which needs a function that reports.
    """
    found = find_function(function)
    if _arguments_of(found) is None:
        return
    signature = inspect.signature(found)
    if prunes and not takes_trial(found, {name for names in calls for name in names}):
        raise SpaceError(
            f"study.function: {function}{signature} has no argument `trial` to report to, so nothing can be pruned; "
            'add the argument, or use the pruner "none"'
        )
    for names in calls:
        try:
            signature.bind(**arguments(found, dict.fromkeys(names), None))
        except TypeError as error:
            given = ", ".join(names) or "no parameters"
            raise SpaceError(
                f"study.function: {function}{signature} cannot be called with {given}: {error}; "
                "name the parameters of [space] as the function does"
            ) from None
