"""`[[trials]]`: params that are tried first, and the space file's defaults as params."""

import math
from collections.abc import Mapping
from typing import Any

from sweep.config.plain_values import short_repr
from sweep.errors import SpaceError
from sweep.space.parameters import Categorical, Parameter, Params, stored_choice
from sweep.space.space import Space
from sweep.spelling import did_you_mean
from sweep.text import counted


def parse_first_trials(section: Any, space: Space) -> tuple[Params, ...]:
    """Check `[[trials]]`.

    Args:
        section: As in the file: a list of tables by parameter.
        space: Whose trials they are.

    Returns:
        The params as Optuna stores them; what a table leaves out is sampled.

    Raises:
        SpaceError: A parameter is unknown, or a value is not one of its range.
    """
    if not isinstance(section, list) or not all(isinstance(trial, dict) for trial in section):
        raise SpaceError(f"{space.source}: trials: must be tables; write [[trials]] above the parameters of each")
    return tuple(_parsed(trial, space, f"{space.source}: trials {n}") for n, trial in enumerate(section, start=1))


def _parsed(trial: Mapping[str, Any], space: Space, where: str) -> Params:
    if not trial:
        raise SpaceError(f"{where}: has no parameter; name one of [space]")
    if space.is_own_function and not space.parameters:  # it defines them while it runs
        return dict(trial)
    for name, value in trial.items():
        if name not in space.parameters:
            known = ", ".join(space.parameters) or "none"
            raise SpaceError(
                f"{where}: {short_repr(name)} is no parameter of [space]{did_you_mean(name, space.parameters)}; "
                f"there are {known}"
            )
        problem = range_problem(space.parameters[name], value)
        if problem is not None:
            raise SpaceError(f"{where}: {name} = {short_repr(value)} {problem}; correct it, or widen [space.{name}]")
    return {name: stored_choice(value) for name, value in trial.items()}


def range_problem(parameter: Parameter, value: Any) -> str | None:
    """Return why the parameter cannot have a value, such as `is not in 1 to 5`; None if it can."""
    if isinstance(parameter, Categorical):
        is_choice = any(
            type(one) is type(stored_choice(value)) and one == stored_choice(value) for one in parameter.values()
        )
        return None if is_choice else f"is none of its {counted(len(parameter.choices), 'choice')}"
    low, high = parameter.extremes()
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= value <= high:
        return f"is not in {low} to {high}"
    if parameter.num_values() is not None and parameter.position(value) is None:
        return f"is not {low} and a multiple of the step {parameter.step or 1}"
    return None


def default_params(space: Space) -> Params:
    """Return the params of the values that the keys have if nothing varies, where they are in range."""
    if space.function is not None:
        return {}
    values = space.resolve({}, seed=0).values()
    found = {name: value_at(values, parameter.key) for name, parameter in space.parameters.items() if parameter.key}
    return {
        name: stored_choice(value)
        for name, value in found.items()
        if value is not None and range_problem(space.parameters[name], value) is None
    }


def value_at(values: Any, key: str) -> Any:
    """Return the value of a config key such as `model.filters.1`; None if there is none."""
    for part in key.split("."):
        if isinstance(values, list):
            values = values[int(part) - 1] if part.isdecimal() and 0 < int(part) <= len(values) else None
        else:
            values = values.get(part) if isinstance(values, dict) else None
    return values
