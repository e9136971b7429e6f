"""Collect the rows of Optuna's tables that the next transaction writes.

An epoch of all lanes is written by a few statements. Trials are identified by number; `write` looks up their row ids.
"""

import json
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import FrozenTrial

from sweep.storage import rows
from sweep.storage.optuna_internals import stored_intermediate_value, stored_value


class PendingRows:
    """Rows to insert or replace, by table and key; a later write of the same key replaces an earlier one."""

    def __init__(self) -> None:
        self.new_trials: list[FrozenTrial] = []
        self._rows: dict[sqlalchemy.Table, dict[tuple[int | None, Any], dict[str, Any]]] = {}
        self._states: dict[int, FrozenTrial] = {}
        self._touched: dict[int, None] = {}  # an ordered set

    def touch(self, number: int) -> None:
        """Add a trial to `touched_trials` without a row to write."""
        self._touched[number] = None

    def touched_trials(self) -> list[int]:
        """Return the numbers of the trials with pending changes."""
        return list(self._touched)

    def study_user_attrs(self) -> set[str]:
        """Return the keys of the study's user attributes that are to be written."""
        return {key for _, key in self._rows.get(rows.STUDY_USER_ATTRS, ())}

    def add(self, table: sqlalchemy.Table, number: int | None, key: Any, **values: Any) -> None:
        """Add a row.

        Args:
            table: The table.
            number: Number of the trial; None for a row of the study.
            key: The value of the table's key column (`rows.KEYS`).
            values: The other columns.
        """
        self._rows.setdefault(table, {})[(number, key)] = values
        if number is not None:
            self.touch(number)

    def add_attr(self, table: sqlalchemy.Table, number: int | None, key: str, text: str) -> None:
        """Add an attribute of a trial, or of the study if the number is None; `text` is its value as JSON."""
        self.add(table, number, key, value_json=text)

    def add_param(self, number: int, name: str, value: float, distribution: BaseDistribution) -> None:
        """Add a parameter of a trial; its value is in Optuna's internal representation."""
        json_text = distribution_to_json(distribution)
        self.add(rows.TRIAL_PARAMS, number, name, param_value=value, distribution_json=json_text)

    def add_intermediate_value(self, number: int, step: int, value: float) -> None:
        """Add a reported value of a trial, which may be NaN or infinite."""
        stored, kind = stored_intermediate_value(value)
        self.add(rows.TRIAL_INTERMEDIATE_VALUES, number, step, intermediate_value=stored, intermediate_value_type=kind)

    def add_state(self, trial: FrozenTrial) -> None:
        """Add the current state, times and values of a trial."""
        self._states[trial.number] = trial
        self.touch(trial.number)
        self._add_values(trial)

    def add_content(self, trial: FrozenTrial) -> None:
        """Add all rows of a trial that another program wrote, since it may have written them differently."""
        self.touch(trial.number)
        self._add_values(trial)
        for name, distribution in trial.distributions.items():
            self.add_param(trial.number, name, distribution.to_internal_repr(trial.params[name]), distribution)
        for step, value in trial.intermediate_values.items():
            self.add_intermediate_value(trial.number, step, value)
        for table, attrs in ((rows.TRIAL_USER_ATTRS, trial.user_attrs), (rows.TRIAL_SYSTEM_ATTRS, trial.system_attrs)):
            for key, attr in attrs.items():
                self.add_attr(table, trial.number, key, json.dumps(attr))

    def _add_values(self, trial: FrozenTrial) -> None:
        for objective, value in enumerate(trial.values or ()):
            stored, kind = stored_value(value)
            self.add(rows.TRIAL_VALUES, trial.number, objective, value=stored, value_type=kind)

    def write(self, connection: sqlalchemy.Connection, study_id: int, row_ids: dict[int, int]) -> None:
        """Write all rows inside the caller's transaction.

        Args:
            connection: The transaction's connection.
            study_id: Row id of the study.
            row_ids: Row ids by trial number; those of new trials are added.
        """
        for trial in self.new_trials:
            row_ids[trial.number] = rows.insert_trial(connection, study_id, trial)
        for table, values_of in self._rows.items():
            owner = "study_id" if "study_id" in table.c else "trial_id"
            ids = [study_id if number is None else row_ids[number] for number, _ in values_of]
            values = [
                {owner: row_id, rows.KEYS[table]: key, **row}
                for row_id, ((_, key), row) in zip(ids, values_of.items(), strict=True)
            ]
            upsert = rows.upsert(connection.dialect.name, table, owner, tuple(values[0]))
            connection.execute(upsert, values)
        for number, trial in self._states.items():
            statement = rows.TRIALS.update().where(rows.TRIALS.c.trial_id == row_ids[number])
            connection.execute(statement.values(state=trial.state, **rows.times(trial)))
