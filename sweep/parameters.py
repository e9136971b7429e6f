"""One varied value: its kind (float, int, categorical), range and condition, and how Optuna is asked for it."""

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sweep.config import Section

MOST_PAIRS = 5000

Scalar = bool | int | float | str
Params = dict[str, Any]
Condition = Annotated[list[Scalar], BeforeValidator(lambda value: value if isinstance(value, list) else [value])]


class _Varied(Section):
    """What every kind has: the config key it sets, and when it is asked for (all of `when` must hold)."""

    key: str | None = None
    when: dict[str, Condition] | None = None

    def is_active(self, params: Mapping[str, Any]) -> bool:
        """Whether the conditions hold for the params suggested so far."""
        return all(name in params and params[name] in wanted for name, wanted in (self.when or {}).items())


class Float(_Varied):
    """A real number in [low, high], uniform, or log-uniform with `log`, or on a grid with `step`."""

    type: Literal["float"]
    low: float
    high: float
    step: Annotated[float, Field(gt=0)] | None = None
    log: bool = False

    @model_validator(mode="after")
    def _range_is_sound(self) -> Self:
        _check_range(self)
        return self

    def can_be(self, value: Any) -> bool:
        """Whether a condition may ask for this value: never, as real numbers are not compared for equality."""
        return False

    def suggest(self, trial: Any, name: str) -> float:
        """Ask the trial; with a step, up to the last grid point, as Optuna warns of any other top."""
        return float(trial.suggest_float(name, self.low, self.extremes()[1], step=self.step, log=self.log))

    def extremes(self) -> list[Any]:
        """Both ends; with a step, the top is the last grid point."""
        values = self.values()
        return [self.low, values[-1] if values else self.high]

    def values(self) -> list[float] | None:
        """All values if they are finitely many, else None."""
        if self.step is None:
            return None
        num_steps = math.floor((self.high - self.low) / self.step + 1e-9)
        return [round(self.low + index * self.step, 12) for index in range(num_steps + 1)]


class Int(_Varied):
    """A whole number in [low, high], both included."""

    type: Literal["int"]
    low: int
    high: int
    step: Annotated[int, Field(ge=1)] | None = None
    log: bool = False

    @model_validator(mode="after")
    def _range_is_sound(self) -> Self:
        _check_range(self)
        return self

    def can_be(self, value: Any) -> bool:
        """Whether a condition may ask for this value."""
        return value in self._range()

    def suggest(self, trial: Any, name: str) -> int:
        """Ask the trial; with a step, up to the last grid point, as Optuna warns of any other top."""
        return int(trial.suggest_int(name, self.low, self.extremes()[1], step=self.step or 1, log=self.log))

    def extremes(self) -> list[Any]:
        """Both ends."""
        return [self.low, self._range()[-1]]

    def values(self) -> list[int]:
        """All values."""
        return list(self._range())

    def _range(self) -> range:
        """A range of billions (a seed) must not become a list."""
        return range(self.low, self.high + 1, self.step or 1)


class Categorical(_Varied):
    """One of `choices`, all of one kind."""

    type: Literal["categorical"]
    choices: Annotated[list[Scalar], Field(min_length=1)]

    @field_validator("choices")
    @classmethod
    def _one_kind(cls, choices: list[Scalar]) -> list[Scalar]:
        kinds = {"number" if type(choice) in (int, float) else type(choice).__name__ for choice in choices}
        if len(kinds) > 1:
            raise ValueError(f"mixes kinds ({', '.join(sorted(kinds))}); use one kind")
        if len(set(choices)) < len(choices):
            raise ValueError("names a choice twice; remove one")
        return choices

    def can_be(self, value: Any) -> bool:
        """Whether a condition may ask for this value."""
        return value in self.choices

    def suggest(self, trial: Any, name: str) -> Any:
        """Ask the trial."""
        return trial.suggest_categorical(name, self.choices)

    def extremes(self) -> list[Any]:
        """Every choice."""
        return list(self.choices)

    def values(self) -> list[Any]:
        """Every choice."""
        return list(self.choices)


Parameter = Float | Int | Categorical
KINDS: dict[str, type[Float] | type[Int] | type[Categorical]] = {"float": Float, "int": Int, "categorical": Categorical}


def _check_range(parameter: "Float | Int") -> None:
    if parameter.low > parameter.high:
        raise ValueError(f"low {parameter.low} is above high {parameter.high}; swap them")
    if parameter.log and parameter.low <= 0:
        raise ValueError(f"log needs low > 0, not {parameter.low}; raise low or remove log")
    if parameter.log and parameter.step is not None:
        raise ValueError("log and step exclude each other; remove one")


def active_parameters(parameters: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    """Names of the params that the conditions let through, in file order."""
    return [name for name, parameter in parameters.items() if name in params and parameter.is_active(params)]


def suggest_active(parameters: Mapping[str, Any], trial: Any) -> Params:
    """Ask an Optuna trial (or anything with its suggest methods) for every active parameter, in file order."""
    params: Params = {}
    for name, parameter in parameters.items():
        if parameter.is_active(params):
            params[name] = parameter.suggest(trial, name)
    return params


class _Fixed:
    """Has the suggest methods of an Optuna trial, and answers with given values, else with random ones."""

    def __init__(self, values: Mapping[str, Any], corners: Mapping[str, list[Any]], chooser: random.Random) -> None:
        self._values, self._corners, self._chooser = values, corners, chooser

    def _value(self, name: str, *_: Any, **__: Any) -> Any:
        return self._values[name] if name in self._values else self._chooser.choice(self._corners[name])

    suggest_float = suggest_int = suggest_categorical = _value


def extreme_params(parameters: Mapping[str, Any]) -> Iterator[Params]:
    """Params for every pair of corners of two parameters (also for one, and none), the others at random corners.

    Then each corner once more with all the others at their highest: there the largest models are.
    """
    chooser = random.Random(0)
    corners = _corners(parameters)
    single = [(name, value) for name, values in corners.items() for value in values]
    pairs: list[tuple[tuple[str, Any], ...]] = list(itertools.combinations(single, 2))
    if len(pairs) > MOST_PAIRS:  # a space of hundreds of parameters is sampled
        pairs = chooser.sample(pairs, MOST_PAIRS)
    for pair in itertools.chain([()], ((corner,) for corner in single), pairs):
        yield suggest_active(parameters, _Fixed(dict(pair), corners, chooser))
    highest = {name: _highest(values) for name, values in corners.items()}
    for name, value in single:
        yield suggest_active(parameters, _Fixed({**highest, name: value}, corners, chooser))


def _highest(values: Sequence[Any]) -> Any:
    return max(values) if all(isinstance(value, int | float) for value in values) else values[-1]


def combined_params(parameters: Mapping[str, Any], names: Sequence[str]) -> Iterator[Params]:
    """Params for all combinations of the corners of the named parameters, the others at random corners."""
    chooser, corners = random.Random(0), _corners(parameters)
    for values in itertools.product(*(corners[name] for name in names)):
        yield suggest_active(parameters, _Fixed(dict(zip(names, values, strict=True)), corners, chooser))


def _corners(parameters: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The extreme values of each parameter, and those that a condition asks for."""
    corners = {name: list(parameter.extremes()) for name, parameter in parameters.items()}
    for parameter in parameters.values():
        for name, wanted in (parameter.when or {}).items():
            corners[name] += [value for value in wanted if value not in corners[name]]
    return corners
