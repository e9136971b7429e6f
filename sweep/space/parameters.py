"""Define a varied value: its type (float, int, categorical), range and condition, and how Optuna samples it."""

import bisect
import itertools
import json
import math
import random
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sweep.config.section import Section

MOST_PAIRS = 5000
MOST_ASKS = 250_000  # of all parameters, for a sample of pairs
MOST_VALUES = 1000  # of a list in the file
LARGEST = 2**53  # Optuna keeps every number as a float, which counts no further

Whole = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
Text = Annotated[str, Field(max_length=200)]
Scalar = bool | Whole | float | Text | None
Params = dict[str, Any]


def stored_choice(choice: Any) -> Any:
    """Return a choice as Optuna stores it: a list as text, since Optuna's choices are None, bool, int, float and str.

    >>> stored_choice([16, 32]), stored_choice(0.5)
    ('[16, 32]', 0.5)
    """
    return json.dumps(choice, ensure_ascii=False) if isinstance(choice, list) else choice


Condition = Annotated[
    list[Scalar],
    Field(max_length=MOST_VALUES),
    BeforeValidator(lambda value: [stored_choice(one) for one in (value if isinstance(value, list) else [value])]),
]


class _Varied(Section):
    """The fields of every type: the config key it sets, and when it is sampled (all of `when` must hold)."""

    key: str | None = None
    """Config key that it sets, as `section.key`. Default: none, for a parameter that only decides conditions."""
    when: dict[str, Condition] | None = None
    """Values of earlier parameters, by name, with which it is sampled. Default: always."""

    def is_active(self, params: Mapping[str, Any]) -> bool:
        """Return whether the conditions hold for the params suggested so far."""
        return all(name in params and params[name] in wanted for name, wanted in (self.when or {}).items())

    def value_of(self, param: Any) -> Any:
        """Return the config value for a param of a trial."""
        return param


class Float(_Varied):
    """A float in [low, high], uniform, or log-uniform with `log`, or on a grid with `step`."""

    type: Literal["float"]
    """Distribution of the parameter."""
    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    step: Annotated[float, Field(gt=0)] | None = None
    """Distance between values, from `low`. Default: none, any value."""
    log: bool = False
    """Whether to sample in the log domain."""

    @model_validator(mode="after")
    def _range_is_sound(self) -> Self:
        _check_range(self)
        return self

    def can_be(self, value: Any) -> bool:
        """Return whether a condition may compare with this value: False, as floats are not compared for equality."""
        return False

    def suggest(self, trial: Any, name: str) -> float:
        """Ask the trial; with a step, up to the last grid point."""
        with warnings.catch_warnings():  # that point may be no decimal; Optuna then says that it leaves it as it is
            warnings.filterwarnings("ignore", "The distribution is specified by", UserWarning)
            return float(trial.suggest_float(name, self.low, self.extremes()[1], step=self.step, log=self.log))

    def extremes(self) -> list[Any]:
        """Return both bounds; with a step, the upper one is the last grid value."""
        num_values = self.num_values()
        return [self.low, self.high if num_values is None else self._value(num_values - 1)]

    def num_values(self) -> int | None:
        """Return the number of values, None for a continuous range."""
        if self.step is None:
            return 1 if self.low == self.high else None
        low, high, step = (Decimal(str(value)) for value in (self.low, self.high, self.step))
        return int((high - low) // step) + 1

    def values(self) -> list[float] | None:
        """Return all values if they are finitely many, else None."""
        num_values = self.num_values()
        return None if num_values is None else [self._value(index) for index in range(num_values)]

    def position(self, value: Any) -> int | None:
        """Return the index of a value in `values`, allowing for rounding by Optuna; None if it is not one of them."""
        num_values = self.num_values()
        if num_values is None or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        index = round((value - self.low) / self.step) if self.step else 0
        is_close = math.isclose(value, self._value(index), rel_tol=1e-9, abs_tol=1e-6 * (self.step or 0))
        return index if 0 <= index < num_values and is_close else None

    def _value(self, index: int) -> float:
        """As the decimals in the file say, which is how Optuna counts steps: 0.1 * 3 is 0.3.

        Never below them, or Optuna would leave the last point out.
        """
        exact = Decimal(str(self.low)) + index * Decimal(str(self.step or 0))
        value = float(exact)
        return value if Decimal(str(value)) >= exact else math.nextafter(value, math.inf)


class Int(_Varied):
    """An integer in [low, high], both included."""

    type: Literal["int"]
    """Distribution of the parameter."""
    low: Whole
    """Smallest value."""
    high: Whole
    """Largest value."""
    step: Annotated[Whole, Field(ge=1)] | None = None
    """Distance between values, from `low`. Default: 1."""
    log: bool = False
    """Whether to sample in the log domain."""

    @model_validator(mode="after")
    def _range_is_sound(self) -> Self:
        _check_range(self)
        return self

    def can_be(self, value: Any) -> bool:
        """Return whether a condition may compare with this value."""
        return value in self._range()

    def suggest(self, trial: Any, name: str) -> int:
        """Ask the trial; with a step, up to the last grid point, as Optuna warns of any other top."""
        return int(trial.suggest_int(name, self.low, self.extremes()[1], step=self.step or 1, log=self.log))

    def extremes(self) -> list[Any]:
        """Return both bounds."""
        return [self.low, self._range()[-1]]

    def num_values(self) -> int:
        """Return the number of values."""
        return len(self._range())

    def values(self) -> list[int]:
        """Return all values."""
        return list(self._range())

    def position(self, value: Any) -> int | None:
        """Return the index of a value in `values`; None if it is not one of them."""
        return self._range().index(value) if isinstance(value, int) and value in self._range() else None

    def _range(self) -> range:
        """A range of billions (a seed) must not become a list."""
        return range(self.low, self.high + 1, self.step or 1)


class Categorical(_Varied):
    """One of `choices`; a list among them is a string in Optuna's params."""

    type: Literal["categorical"]
    """Distribution of the parameter."""
    choices: Annotated[list[Scalar | list[Scalar]], Field(min_length=1, max_length=MOST_VALUES)]
    """Values to choose from: numbers, strings, booleans, lists of these; 1,000 at most."""

    @field_validator("choices")
    @classmethod
    def _each_once(cls, choices: list[Any]) -> list[Any]:
        if len({stored_choice(choice) for choice in choices}) < len(choices):
            raise ValueError("a choice is given twice; remove one")
        return choices

    def can_be(self, value: Any) -> bool:
        """Whether a condition may ask for this value."""
        return value in self.values()

    def suggest(self, trial: Any, name: str) -> Any:
        """Ask the trial."""
        return trial.suggest_categorical(name, self.values())

    def value_of(self, param: Any) -> Any:
        """Return the choice as the file has it."""
        return next((choice for choice in self.choices if stored_choice(choice) == param), param)

    def extremes(self) -> list[Any]:
        """Return every choice."""
        return self.values()

    def num_values(self) -> int:
        """Return the number of choices."""
        return len(self.choices)

    def values(self) -> list[Any]:
        """Return every choice."""
        return [stored_choice(choice) for choice in self.choices]

    def position(self, value: Any) -> int | None:
        """Which of the `values` this is; None if it is none of them."""
        return self.values().index(value) if value in self.values() else None


Parameter = Float | Int | Categorical
KINDS: dict[str, type[Float] | type[Int] | type[Categorical]] = {"float": Float, "int": Int, "categorical": Categorical}


def _check_range(parameter: "Float | Int") -> None:
    if parameter.low > parameter.high:
        raise ValueError(f"low {parameter.low} is above high {parameter.high}; swap them")
    if not math.isfinite(parameter.high - parameter.low):
        raise ValueError(f"from {parameter.low} to {parameter.high} is too wide for a float; narrow it")
    if parameter.step is not None and (parameter.high - parameter.low) / parameter.step > LARGEST:
        raise ValueError(f"step {parameter.step} is too fine for the range; raise it")
    if parameter.log and parameter.low <= 0:
        raise ValueError(f"log needs low > 0, not {parameter.low}; raise low or remove log")
    if parameter.log and parameter.step is not None:
        raise ValueError("log and step exclude each other; remove one")


def active_parameters(parameters: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    """Return the names of the parameters whose conditions hold, in file order."""
    return [name for name, parameter in parameters.items() if name in params and parameter.is_active(params)]


def suggest_active(parameters: Mapping[str, Any], trial: Any) -> Params:
    """Ask an Optuna trial (or anything with its suggest methods) for every active parameter, in file order."""
    params: Params = {}
    for name, parameter in parameters.items():
        if parameter.is_active(params):
            try:
                params[name] = parameter.suggest(trial, name)
            except (ValueError, OverflowError) as error:  # an enqueued value that cannot be; Optuna does not say whose
                raise ValueError(f"{name}: {error}") from error
    return params


class _Fixed:
    """Has the suggest methods of an Optuna trial, and answers with given values, else with random ones."""

    def __init__(self, values: Mapping[str, Any], corners: Mapping[str, list[Any]], chooser: random.Random) -> None:
        self._values, self._corners, self._chooser = values, corners, chooser

    def _value(self, name: str, *_: Any, **__: Any) -> Any:
        return self._values[name] if name in self._values else self._chooser.choice(self._corners[name])

    suggest_float = suggest_int = suggest_categorical = _value


def extreme_params(parameters: Mapping[str, Any]) -> Iterator[Params]:
    """Yield params for every pair of corners of two parameters (also for one, and none), the others at random corners.

    Then each corner once more with all others at their highest: there the largest models are.
    """
    chooser = random.Random(0)
    corners = _corners(parameters)
    single = [(name, value) for name, values in corners.items() for value in values]
    most = min(MOST_PAIRS, MOST_ASKS // max(1, len(parameters)))
    for pair in itertools.chain([()], ((corner,) for corner in single), _pairs(single, most, chooser)):
        yield suggest_active(parameters, _Fixed(dict(pair), corners, chooser))
    highest = {name: _highest(values) for name, values in corners.items()}
    for name, value in single:
        yield suggest_active(parameters, _Fixed({**highest, name: value}, corners, chooser))


def _pairs(
    single: Sequence[tuple[str, Any]], most: int, chooser: random.Random
) -> Iterator[tuple[tuple[str, Any], ...]]:
    """Every pair; of a space of hundreds of parameters, whose pairs would fill the memory, a sample."""
    num_pairs = math.comb(len(single), 2)
    if num_pairs <= most:
        yield from itertools.combinations(single, 2)
        return
    ends = [*itertools.accumulate(range(len(single) - 1, 0, -1))]  # pairs up to each first one
    for index in chooser.sample(range(num_pairs), most):
        first = bisect.bisect_right(ends, index)
        yield single[first], single[len(single) - (ends[first] - index)]


def _highest(values: Sequence[Any]) -> Any:
    return max(values) if all(isinstance(value, int | float) for value in values) else values[-1]


def combined_params(parameters: Mapping[str, Any], names: Sequence[str]) -> Iterator[Params]:
    """Yield params for all combinations of the corners of the named parameters, the others at random corners.

    If there are thousands, a sample of them.
    """
    chooser, corners = random.Random(0), _corners(parameters)
    chosen = [corners[name] for name in names]
    combinations: Iterable[Sequence[Any]] = itertools.product(*chosen)
    if math.prod(map(len, chosen)) > MOST_PAIRS:  # a sample of what cannot be gone through
        combinations = ([chooser.choice(values) for values in chosen] for _ in range(MOST_PAIRS))
    for values in combinations:
        yield suggest_active(parameters, _Fixed(dict(zip(names, values, strict=True)), corners, chooser))


def _corners(parameters: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The extreme values of each parameter, and those that a condition asks for."""
    corners = {name: list(parameter.extremes()) for name, parameter in parameters.items()}
    for parameter in parameters.values():
        for name, wanted in (parameter.when or {}).items():
            corners[name] += [value for value in wanted if value not in corners[name]]
    return corners
