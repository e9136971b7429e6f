"""The points of a finite space: how many there are, which of them a trial has, and all of them.

A point is a combination of values of the active parameters, so a space with conditions has fewer points than the
product of its values. It is kept as the positions of the values, in file order; an inactive parameter's is -1.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sweep.space.parameters import Float, Parameter, Params
from sweep.space.space import Space

MOST_POINTS = 1_000_000  # listed in memory
INACTIVE = -1
NUM_VALUES = "num_values"  # an option of samplers that list all points

Point = tuple[int, ...]


@dataclass(frozen=True)
class Points:
    """The combinations of parameters with these values."""

    parameters: Mapping[str, Parameter]
    values: Mapping[str, Sequence[Any]]

    @cached_property
    def _deciding(self) -> set[str]:
        """The parameters that a condition looks at."""
        return {name for parameter in self.parameters.values() for name in parameter.when or {}}

    @cached_property
    def count(self) -> int | None:
        """Return the number of combinations; None if they are more than MOST_POINTS."""
        groups: list[tuple[Params, int]] = [({}, 1)]  # the deciding params, and how many points have them
        for name in self.parameters:
            extended, total = [], 0
            for params, num in groups:
                for more, times in self._branches(name, params):
                    total += num * times
                    if total > MOST_POINTS:
                        return None
                    extended.append((more, num * times))
            groups = extended
        return sum(num for _, num in groups)

    def _branches(self, name: str, params: Params) -> Iterator[tuple[Params, int]]:
        """The deciding params after this parameter, and how many of its values lead there."""
        if name in self._deciding:
            yield from ((more, 1) for _, more in self._choices(name, params))
        else:
            yield params, len(self.values[name]) if self.parameters[name].is_active(params) else 1

    @cached_property
    def all(self) -> list[Point]:
        """Yield every combination, in the order of the file's values."""
        points: list[tuple[Point, Params]] = [((), {})]
        for name in self.parameters:
            points = [((*point, at), more) for point, params in points for at, more in self._choices(name, params)]
        return [point for point, _ in points]

    def _choices(self, name: str, params: Params) -> Iterator[tuple[int, Params]]:
        """The positions that the parameter can have after these deciding params, and the deciding params then."""
        if not self.parameters[name].is_active(params):
            yield INACTIVE, params
            return
        for position, value in enumerate(self.values[name]):
            yield position, {**params, name: value} if name in self._deciding else params

    def of(self, params: Mapping[str, Any]) -> Point | None:
        """Return the combination of these params; None if they are not one, as those of another program may be."""
        active: Params = {}
        point: Point = ()
        for name, parameter in self.parameters.items():
            if not parameter.is_active(active):
                point = (*point, INACTIVE)
                continue
            position = self._position(name, params[name]) if name in params else None
            if position is None:
                return None
            active[name] = self.values[name][position]
            point = (*point, position)
        return point

    def _position(self, name: str, value: Any) -> int | None:
        parameter, values = self.parameters[name], self.values[name]
        if len(values) == parameter.num_values():
            return parameter.position(value)
        return values.index(value) if value in values else None

    def params(self, point: Point) -> Params:
        """Return the values of a combination's active parameters."""
        pairs = zip(self.values.items(), point, strict=True)
        return {name: values[position] for (name, values), position in pairs if position != INACTIVE}


def points_of(space: Space) -> Points | None:
    """Return the combinations of a space; None if they are more than MOST_POINTS, or nothing varies.

    A partial_fixed sampler fixes some parameters; a grid may take a number of values of each range without a step.
    """
    options = space.sampler.options
    fixed, num_values = options.get("fixed_params", {}), options.get(NUM_VALUES)
    values: dict[str, Sequence[Any]] = {}
    for name, parameter in space.parameters.items():
        found = [fixed[name]] if name in fixed else _values(parameter, num_values)
        if found is None:
            return None
        values[name] = found
    points = Points(space.parameters, values)
    return points if values and points.count is not None else None


def _values(parameter: Parameter, num_values: int | None) -> Sequence[Any] | None:
    """All values of a parameter, or so many of a range; None where they are too many."""
    count = parameter.num_values()
    if count is not None:
        return parameter.values() if count <= MOST_POINTS else None
    assert isinstance(parameter, Float)
    return spread(parameter, num_values) if num_values else None


def spread(parameter: Float, num_values: int) -> list[float]:
    """Return this number of values of a range, from low to high; of a log range with equal ratios."""
    space = np.geomspace if parameter.log else np.linspace
    values = [float(value) for value in space(parameter.low, parameter.high, num_values)]
    return [min(max(value, parameter.low), parameter.high) for value in values]


def num_trials_at_most(space: Space, num_trials: int) -> int:
    """Return this number of trials, or the number of combinations if the space has fewer."""
    points = points_of(space)
    return num_trials if points is None or points.count is None else min(num_trials, points.count)


def size_line(space: Space, num_trials: int) -> str | None:
    """Return a line such as `space: 16 points, 10 of them with --trials 10`; None if a parameter is continuous."""
    if not space.parameters and space.is_own_function:
        return "space: the parameters that the function asks its trial for"
    if not space.parameters:
        return "space: no parameters, so trials differ by their seeds alone; add a section [space.NAME]"
    points = points_of(space)
    if points is None or points.count is None:
        is_finite = all(one.num_values() is not None for one in space.parameters.values())
        return f"space: more than {MOST_POINTS:,} points" if is_finite else None
    if num_trials < points.count:
        return f"space: {points.count:,} points, {num_trials} of them with --trials {num_trials}"
    end = "; the study ends when all have been tried" if num_trials > points.count else ""
    return f"space: {points.count:,} points{end}"
