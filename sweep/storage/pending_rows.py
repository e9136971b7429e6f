"""What is to be written by the next transaction, as rows of Optuna's tables.

An epoch of all lanes becomes a handful of statements. Trials are known by number; row ids are looked up when writing.
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
        self._touched: dict[int, None] = {}  # a set in its order

    def touch(self, number: int) -> None:
        """Count a trial among those touched, though nothing of it is to be written."""
        self._touched[number] = None

    def touched_trials(self) -> list[int]:
        """Return the numbers of the trials with pending changes."""
        return list(self._touched)

    def study_user_attrs(self) -> set[str]:
        """Return the keys of the study's user attributes that are to be written."""
        return {key for _, key in self._rows.get(rows.STUDY_USER_ATTRS, ())}

    def add(self, table: sqlalchemy.Table, number: int | None, key: Any, **values: Any) -> None:
        """Add a row of a trial or, with number None, of the study."""
        self._rows.setdefault(table, {})[(number, key)] = values
        if number is not None:
            self.touch(number)

    def add_attr(self, table: sqlalchemy.Table, number: int | None, key: str, text: str) -> None:
        """Add an attribute, given as JSON."""
        self.add(table, number, key, value_json=text)

    def add_param(self, number: int, name: str, value: float, distribution: BaseDistribution) -> None:
        """Add a parameter in Optuna's internal representation."""
        json_text = distribution_to_json(distribution)
        self.add(rows.TRIAL_PARAMS, number, name, param_value=value, distribution_json=json_text)

    def add_intermediate_value(self, number: int, step: int, value: float) -> None:
        """Add a reported value; NaN and infinity are stored by their type."""
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
        """Execute everything inside the caller's transaction; `row_ids` (number -> row) gains the new trials."""
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
