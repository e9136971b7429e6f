"""Optuna's storage on a database, reading many trials by plain rows: a sixth of the time that its objects take."""

import json
from collections.abc import Container, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState

from sweep.storage import rows

ORDER = {  # the primary key of each table: the order of writing
    rows.TRIAL_PARAMS: "param_id",
    rows.TRIAL_VALUES: "trial_value_id",
    rows.TRIAL_INTERMEDIATE_VALUES: "trial_intermediate_value_id",
    rows.TRIAL_USER_ATTRS: "trial_user_attribute_id",
    rows.TRIAL_SYSTEM_ATTRS: "trial_system_attribute_id",
}
_STUDY = sqlalchemy.select(rows.STUDIES.c.study_id).where(rows.STUDIES.c.study_id == sqlalchemy.bindparam("study_id"))
_distribution = lru_cache(maxsize=10_000)(json_to_distribution)  # trials share it


class Reader(RDBStorage):
    """An `RDBStorage` whose `get_all_trials` gives the same trials sooner, as of one moment.

    They share their distributions.
    """

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """Optuna's: trials in `states` of which the row id is above the given one, or is included; by row id."""
        included = [row for row in included_trial_ids if row <= trial_id_greater_than]
        is_read = rows.TRIALS.c.trial_id > trial_id_greater_than
        if included:
            is_read |= rows.TRIALS.c.trial_id.in_(sqlalchemy.literal(included, literal_execute=True))
        chosen = sqlalchemy.and_(rows.TRIALS.c.study_id == study_id, is_read)
        if states is not None:
            chosen &= rows.TRIALS.c.state.in_([state for state in TrialState if state in states])
        with self.at_one_moment() as connection:
            if connection.execute(_STUDY, {"study_id": study_id}).first() is None:
                raise KeyError(f"no study has the id {study_id}")
            return _read_trials(connection, chosen)

    @contextmanager
    def at_one_moment(self) -> Iterator[sqlalchemy.Connection]:
        """A connection whose queries all see the database as it is now."""
        with _create_scoped_session(self.scoped_session) as session:
            if self.engine.dialect.name == "postgresql":
                yield session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            else:
                connection = session.connection()
                connection.exec_driver_sql("BEGIN")  # SQLite's driver leaves that to the first writing
                yield connection


def _read_trials(connection: sqlalchemy.Connection, chosen: Any) -> list[FrozenTrial]:
    """By a query a table."""
    table = rows.TRIALS.c
    columns = (table.trial_id, table.number, table.state, table.datetime_start, table.datetime_complete)
    query = sqlalchemy.select(*columns).where(chosen).order_by(table.trial_id)
    trials = {row: _empty_trial(row, *values) for row, *values in connection.execute(query)}

    def of(table: sqlalchemy.Table, *columns: str) -> Iterator[Any]:
        of_these = table.c.trial_id.in_(sqlalchemy.select(rows.TRIALS.c.trial_id).where(chosen))
        selected = sqlalchemy.select(table.c.trial_id, *(table.c[column] for column in columns))
        return iter(connection.execute(selected.where(of_these).order_by(table.c[ORDER[table]])))

    for row, name, value, text in of(rows.TRIAL_PARAMS, "param_name", "param_value", "distribution_json"):
        _add_param(trials[row], name, value, _distribution(text))
    values: dict[int, dict[int, float]] = {}
    for row, objective, *stored in of(rows.TRIAL_VALUES, "objective", "value", "value_type"):
        values.setdefault(row, {})[objective] = models.TrialValueModel.stored_repr_to_value(*stored)
    for row, told in values.items():
        trials[row].values = [told[objective] for objective in range(len(told))]
    columns_of_steps = ("step", "intermediate_value", "intermediate_value_type")
    for row, step, *stored in of(rows.TRIAL_INTERMEDIATE_VALUES, *columns_of_steps):
        value = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value(*stored)
        trials[row].intermediate_values[step] = value
    for row, key, text in of(rows.TRIAL_USER_ATTRS, "key", "value_json"):
        trials[row].user_attrs[key] = json.loads(text)
    for row, key, text in of(rows.TRIAL_SYSTEM_ATTRS, "key", "value_json"):
        trials[row].system_attrs[key] = json.loads(text)
    return [*trials.values()]


def _empty_trial(row: int, number: int, state: TrialState, start: Any, complete: Any) -> FrozenTrial:
    return FrozenTrial(number, state, None, start, complete, {}, {}, {}, {}, {}, row)


def _add_param(trial: FrozenTrial, name: str, value: float, distribution: BaseDistribution) -> None:
    trial.params[name] = distribution.to_external_repr(value)
    trial.distributions[name] = distribution
