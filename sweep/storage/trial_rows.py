"""From the rows of a trial to Optuna's `FrozenTrial`, whatever stands in them: another program may have written them.

Rows are read without SQLAlchemy's types, which raise over one strange value of thousands. What cannot be read of a
trial's state, params or values sets it aside; an attribute or a reported value that cannot be read is left out.
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
    """Return the column as the driver returns it."""
    return sqlalchemy.type_coerce(column, sqlalchemy.types.NullType())


def read_json(attrs: dict[str, Any], key: str, text: Any) -> None:
    """Add an attribute, unless it cannot be read."""
    with suppress(TypeError, ValueError, RecursionError):
        attrs[key] = json.loads(text)


class TrialReading:
    """A trial while its rows are read; then `trial`."""

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
        """Add a parameter as Optuna returns it; one that Optuna could not store again counts as unreadable."""
        try:
            if not isinstance(name, str):
                raise TypeError
            distribution = _distribution(distribution_json)
            if isinstance(distribution, CategoricalDistribution) and not contains(distribution, value):
                raise ValueError
            external = distribution.to_external_repr(value)
            distribution.to_internal_repr(external)
        except Exception:  # Optuna's over whatever stands there
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
        trial, told = self.frozen, self._values
        if self._problem is None and told.keys() != {*range(len(told))}:
            self._cannot_read(f"objectives {[*told]}")
        if self._problem is None:
            trial.values = [told[objective] for objective in range(len(told))] or None
            self._problem = values_problem(trial.state, trial.values, num_objectives)
        self._problem = self._problem or attrs_problem(trial.system_attrs)
        if self._problem is not None:
            set_aside(trial, self._problem)
        elif trial.state not in WITH_VALUES and len(told) != num_objectives:
            trial.values = None  # which nobody asks for
        return trial

    def _cannot_read(self, what: str) -> None:
        self._problem = self._problem or f"its {what} cannot be read"


def read_number(stored: Any, kind: Any) -> float:
    """Return a stored number. Raise KeyError or TypeError if it is not one."""
    if kind == "FINITE":
        if not isinstance(stored, int | float):
            raise TypeError(stored)
        return float(stored)
    return NOT_FINITE[kind]


def _local(stored: Any) -> datetime | None:
    """The database holds naive UTC, SQLite as text; Optuna gives naive local time."""
    if stored is None:
        return None
    moment = stored if isinstance(stored, datetime) else datetime.fromisoformat(stored)
    return moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
