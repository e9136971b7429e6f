"""Which study or trial in a database is not as the sweep wrote it: its rows read plainly, and held to their digests.

Read without Optuna and SQLAlchemy, which fail over damaged rows in many ways, and take seconds for thousands of trials.
"""

import json
import math
import sqlite3
from collections.abc import Iterable
from typing import Any

from sweep.storage.digest import DIGEST, TRAINED_BY_SWEEP, TrialContent, is_intact, study_hash

NOT_FINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}

_STUDY = """
    SELECT 'name', 0, study_name FROM studies WHERE study_id = :id
    UNION ALL SELECT 'direction', objective, direction FROM study_directions WHERE study_id = :id
    UNION ALL SELECT 'user', key, value_json FROM study_user_attributes WHERE study_id = :id
    UNION ALL SELECT 'system', key, value_json FROM study_system_attributes WHERE study_id = :id
"""
_CHOSEN = "FROM trials WHERE study_id = ? AND trial_id > ?"


def find_damage(
    database: sqlite3.Connection, study_id: int, *, after_row: int = 0, ends_only: bool = False
) -> str | None:
    """What of a study is damaged, in words; None if nothing is.

    Only trials with a row id above `after_row` are looked at, and, with `ends_only`, only their states and values. The
    caller has begun a transaction, so that nothing changes meanwhile. Raises what sqlite3 raises.
    """
    name, is_sealed, is_right = _read_study(database, study_id)
    if not is_right:
        return f"study {name} is not as the sweep wrote it"
    for trial in _read_trials(database, study_id, after_row, ends_only):
        try:
            is_right = is_intact(trial, is_sealed=is_sealed, end_only=ends_only)
        except Exception:  # a damaged row holds anything
            is_right = False
        if not is_right:
            return f"trial {trial.number} of study {name} is not as the sweep wrote it"
    return None


def _read_study(database: sqlite3.Connection, study_id: int) -> tuple[str, bool, bool]:
    """Its name, whether it has a digest, and whether that is right."""
    found: dict[str, dict[Any, Any]] = {"name": {}, "direction": {}, "user": {}, "system": {}}
    for part, key, value in database.execute(_STUDY, {"id": study_id}):
        found[part][key] = value
    name, stored = found["name"].get(0, ""), found["system"].get(DIGEST)
    try:
        is_right = stored in (None, json.dumps(study_hash(name, found["direction"], found["user"])))
    except Exception:  # a damaged row holds anything
        is_right = False
    return name, stored is not None, is_right


def _read_trials(
    database: sqlite3.Connection, study_id: int, after_row: int, ends_only: bool
) -> Iterable[TrialContent]:
    """By a query a table. Without the params and intermediate values, and most attributes, if `ends_only`."""
    bound = (study_id, after_row)
    query = f"SELECT trial_id, number, state {_CHOSEN} ORDER BY trial_id"
    trials = {row: TrialContent(number, state) for row, number, state in database.execute(query, bound)}

    def rows(table: str, columns: str, condition: str = "") -> sqlite3.Cursor:
        of_these = f"trial_id IN (SELECT trial_id {_CHOSEN}) {condition}"
        return database.execute(f"SELECT trial_id, {columns} FROM {table} WHERE {of_these}", bound)

    for row, objective, *value in rows("trial_values", "objective, value, value_type"):
        trials[row].values[objective] = _value(*value)
    for row, key, text in rows("trial_system_attributes", "key, value_json"):
        trials[row].system_attrs[key] = text
    condition = f"AND key = '{TRAINED_BY_SWEEP}'" if ends_only else ""
    for row, key, text in rows("trial_user_attributes", "key, value_json", condition):
        trials[row].user_attrs[key] = text
    if not ends_only:
        for row, name, value, distribution in rows("trial_params", "param_name, param_value, distribution_json"):
            trials[row].params[name] = (value, distribution)
        columns = "step, intermediate_value, intermediate_value_type"
        for row, step, *value in rows("trial_intermediate_values", columns):
            trials[row].intermediate_values[step] = _value(*value)
    return trials.values()


def _value(stored: Any, kind: Any) -> Any:
    """A value of Optuna's, of which those that are not finite are named; what cannot be one is kept to be found."""
    return stored if kind == "FINITE" else NOT_FINITE.get(kind, kind) if stored is None else (stored, kind)
