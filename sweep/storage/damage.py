"""Find the study or trial in a database that was changed since the sweep wrote it, by comparing rows with digests.

Rows are read without Optuna and SQLAlchemy, which raise many kinds of errors for damaged rows, and need seconds for
thousands of trials.
"""

from collections.abc import Iterable
from typing import Any, Protocol

from sweep.storage.digest import DIGEST, MADE_BY_SWEEP, TrialContent, is_intact, is_study_intact
from sweep.storage.optuna_internals import NOT_FINITE

_STUDY = {
    "name": "SELECT 0, study_name FROM studies WHERE study_id = ?",
    "direction": "SELECT objective, direction FROM study_directions WHERE study_id = ?",
    "user": "SELECT key, value_json FROM study_user_attributes WHERE study_id = ?",
    "system": "SELECT key, value_json FROM study_system_attributes WHERE study_id = ?",
}
_CHOSEN = "FROM trials WHERE study_id = ? AND trial_id > ?"


class Database(Protocol):
    """A connection of Python's sqlite3 module, or an object with the same interface."""

    def execute(self, query: str, parameters: tuple[Any, ...], /) -> Iterable[Any]:
        """Return the rows of a query, whose parameters are written as question marks."""


def find_damage(database: Database, study_id: int, *, after_row: int = 0, ends_only: bool = False) -> str | None:
    """Find a study or trial that was changed since the sweep wrote it.

    Args:
        database: A connection in a transaction, so that all rows are of one snapshot. Errors of the driver are raised.
        study_id: Row id of the study.
        after_row: Only trials with a row id above this one are checked.
        ends_only: Whether only states and values are compared.

    Returns:
        A description of the damage; None if there is none.
    """
    name, is_ours, is_right = _read_study(database, study_id)
    if not is_right:
        return f"study {name} has been changed since the sweep wrote it"
    if not is_ours:  # plain Optuna may have copied the sweep's trials into it, with other values
        return None
    trials = _read_trials(database, study_id, after_row, ends_only)
    for position, trial in enumerate(trials, start=_num_trials_up_to(database, study_id, after_row)):
        try:
            is_right = is_intact(trial, position, end_only=ends_only)
        except Exception:  # a damaged row may contain anything
            is_right = False
        if not is_right:
            return f"trial {trial.number} of study {name} has been changed since the sweep wrote it"
    return None


def find_any_damage(database: Database, study_name: str | None = None, *, ends_only: bool = False) -> str | None:
    """Find the first damage of all studies, or of one.

    Args:
        database: As in `find_damage`.
        study_name: Name of a study; None for all.
        ends_only: Whether only states and values are compared.

    Returns:
        A description of the damage; None if there is none.
    """
    for study_id, name in [*database.execute("SELECT study_id, study_name FROM studies", ())]:
        if study_name in (None, name):
            problem = find_damage(database, study_id, ends_only=ends_only)
            if problem is not None:
                return problem
    return None


def _num_trials_up_to(database: Database, study_id: int, row: int) -> int:
    query = "SELECT count(*) FROM trials WHERE study_id = ? AND trial_id <= ?"
    ((number,),) = database.execute(query, (study_id, row))
    return int(number)


def _read_study(database: Database, study_id: int) -> tuple[str, bool, bool]:
    """Return a study's name, whether sweep created it, and whether it matches its digest."""
    found = {part: dict(database.execute(query, (study_id,))) for part, query in _STUDY.items()}
    name, stored = found["name"].get(0, ""), found["system"].get(DIGEST)
    try:
        is_right = stored is None or is_study_intact(stored, name, found["direction"], found["user"])
    except Exception:  # a damaged row may contain anything
        is_right = False
    return name, stored is not None or MADE_BY_SWEEP in found["user"], is_right


def _read_trials(database: Database, study_id: int, after_row: int, ends_only: bool) -> Iterable[TrialContent]:
    """Return the trials, read by one query per table; with `ends_only`, only what the end of a digest covers."""
    bound = (study_id, after_row)
    query = f"SELECT trial_id, number, state {_CHOSEN} ORDER BY trial_id"
    trials = {row: TrialContent(number, state) for row, number, state in database.execute(query, bound)}

    def rows(table: str, columns: str) -> Iterable[Any]:
        of_these = f"trial_id IN (SELECT trial_id {_CHOSEN})"
        return database.execute(f"SELECT trial_id, {columns} FROM {table} WHERE {of_these}", bound)

    for row, objective, *value in rows("trial_values", "objective, value, value_type"):
        trials[row].values[objective] = _value(*value)
    for row, key, text in rows("trial_system_attributes", "key, value_json"):
        trials[row].system_attrs[key] = text
    if not ends_only:
        for row, key, text in rows("trial_user_attributes", "key, value_json"):
            trials[row].user_attrs[key] = text
        for row, name, value, distribution in rows("trial_params", "param_name, param_value, distribution_json"):
            trials[row].params[name] = (value, distribution)
        columns = "step, intermediate_value, intermediate_value_type"
        for row, step, *value in rows("trial_intermediate_values", columns):
            trials[row].intermediate_values[step] = _value(*value)
    return trials.values()


def _value(stored: Any, kind: Any) -> Any:
    """Convert a stored value and its type to a float; a pair that Optuna does not write is returned, as damage."""
    return stored if kind == "FINITE" else NOT_FINITE.get(kind, kind) if stored is None else (stored, kind)
