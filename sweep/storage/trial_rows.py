"""Convert the rows of a trial to Optuna's `FrozenTrial`, robustly, as another program may have written them.

Rows are read without SQLAlchemy's types, which would make the whole query fail for a single invalid value. A trial
whose state, params or values cannot be read is set aside; an attribute or a reported value that cannot be read is
omitted.
"""

import json
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy
from optuna.distributions import CategoricalDistribution, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

from sweep.storage.optuna_internals import NOT_FINITE, contains
from sweep.storage.set_aside import WITH_VALUES, attrs_problem, set_aside, values_problem

_distribution = lru_cache(maxsize=10_000)(json_to_distribution)  # trials share it


def plain(column: Any) -> Any:
    """Return the column without SQLAlchemy's type, so that values are as the driver returns them."""
    return sqlalchemy.type_coerce(column, sqlalchemy.types.NullType())


def read_json(attrs: dict[str, Any], key: str, text: Any) -> None:
    """Add an attribute to a dictionary, unless its JSON is invalid."""
    with suppress(TypeError, ValueError, RecursionError):
        attrs[key] = json.loads(text)


class TrialReading:
    """Collect the rows of a trial; then `trial` returns it. Arguments are values as the driver returns them."""

    def __init__(self, row: int, number: Any, state: Any, start: Any, complete: Any) -> None:
        self._problem: str | None = None
        self._values: dict[Any, float] = {}
        self.frozen = FrozenTrial(number, TrialState.FAIL, None, None, None, {}, {}, {}, {}, {}, row)
        try:
            self.frozen.state = TrialState[state]
            self.frozen.datetime_start, self.frozen.datetime_complete = _local(start), _local(complete)
        except (KeyError, TypeError, ValueError, OverflowError):
            self._cannot_read(f"state {state!r} or its times")
        self.has_number = isinstance(number, int) and number >= 0
        if not self.has_number:
            self._cannot_read(f"number {number!r}")

    def add_param(self, name: Any, value: Any, distribution_json: Any) -> None:
        """Add a parameter. It counts as unreadable if Optuna could not store it again."""
        try:
            if not isinstance(name, str):
                raise TypeError
            distribution = _distribution(distribution_json)
            if isinstance(distribution, CategoricalDistribution) and not contains(distribution, value):
                raise ValueError
            external = distribution.to_external_repr(value)
            distribution.to_internal_repr(external)
        except Exception:  # Optuna may raise anything for an invalid distribution
            self._cannot_read(f"parameter {name!r}, {value!r}")
        else:
            self.frozen.params[name], self.frozen.distributions[name] = external, distribution

    def add_value(self, objective: Any, value: Any, kind: Any) -> None:
        """Add the value of an objective."""
        try:
            self._values[objective] = read_number(value, kind)
        except (KeyError, TypeError):
            self._cannot_read(f"value {value!r}")

    def add_intermediate_value(self, step: Any, value: Any, kind: Any) -> None:
        """Add a reported value."""
        with suppress(KeyError, TypeError):
            if isinstance(step, int):
                self.frozen.intermediate_values[step] = read_number(value, kind)

    def trial(self, num_objectives: int) -> FrozenTrial:
        """Return the trial that was read or, if it cannot be used, the FAIL that represents it."""
        trial, values = self.frozen, self._values
        if self._problem is None and values.keys() != {*range(len(values))}:
            self._cannot_read(f"objectives {[*values]}")
        if self._problem is None:
            trial.values = [values[objective] for objective in range(len(values))] or None
            self._problem = values_problem(trial.state, trial.values, num_objectives)
        self._problem = self._problem or attrs_problem(trial.system_attrs)
        if self._problem is not None:
            set_aside(trial, self._problem)
        elif trial.state not in WITH_VALUES and len(values) != num_objectives:
            trial.values = None  # the values of such a trial are not used
        return trial

    def _cannot_read(self, what: str) -> None:
        self._problem = self._problem or f"its {what} cannot be read"


def read_number(stored: Any, kind: Any) -> float:
    """Return a stored number.

    Args:
        stored: The number's column.
        kind: The column of its type: FINITE, or a key of `NOT_FINITE`.

    Raises:
        KeyError: The type is unknown.
        TypeError: A FINITE value is not a number.
    """
    if kind == "FINITE":
        if not isinstance(stored, int | float):
            raise TypeError(stored)
        return float(stored)
    return NOT_FINITE[kind]


def _local(stored: Any) -> datetime | None:
    """Convert naive UTC (in SQLite, as text) to naive local time, as in Optuna's API."""
    if stored is None:
        return None
    moment = stored if isinstance(stored, datetime) else datetime.fromisoformat(stored)
    return moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
