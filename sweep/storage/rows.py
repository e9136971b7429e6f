"""Define the tables of Optuna's schema, and the SQLAlchemy Core statements that read and write them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.dialects import postgresql, sqlite

from sweep.storage.optuna_internals import schema_table

STUDIES = schema_table("studies")
STUDY_DIRECTIONS = schema_table("study_directions")
STUDY_USER_ATTRS = schema_table("study_user_attributes")
STUDY_SYSTEM_ATTRS = schema_table("study_system_attributes")
TRIALS = schema_table("trials")
TRIAL_PARAMS = schema_table("trial_params")
TRIAL_VALUES = schema_table("trial_values")
TRIAL_INTERMEDIATE_VALUES = schema_table("trial_intermediate_values")
TRIAL_USER_ATTRS = schema_table("trial_user_attributes")
TRIAL_SYSTEM_ATTRS = schema_table("trial_system_attributes")

KEYS = {  # the unique columns of each table in addition to the id of the study or trial
    STUDY_USER_ATTRS: "key",
    STUDY_SYSTEM_ATTRS: "key",
    TRIAL_PARAMS: "param_name",
    TRIAL_VALUES: "objective",
    TRIAL_INTERMEDIATE_VALUES: "step",
    TRIAL_USER_ATTRS: "key",
    TRIAL_SYSTEM_ATTRS: "key",
}


STUDY_NAME = sqlalchemy.cast(STUDIES.c.study_name, sqlalchemy.String)  # SQLite columns may contain any type
_STATE = sqlalchemy.type_coerce(TRIALS.c.state, sqlalchemy.types.NullType())  # as text, which need not be a state
_SELECT_TRIALS = (
    sqlalchemy.select(TRIALS.c.trial_id, _STATE.label("state"))
    .where(TRIALS.c.study_id == sqlalchemy.bindparam("study_id"))
    .where(
        (TRIALS.c.trial_id > sqlalchemy.bindparam("after_row"))
        | TRIALS.c.trial_id.in_(sqlalchemy.bindparam("rows", expanding=True))
    )
    .order_by(TRIALS.c.trial_id)
    .with_for_update()  # other programs wait before they change one; SQLite locks the whole database instead
)

_COUNT_TRIALS = sqlalchemy.select(sqlalchemy.func.count()).where(TRIALS.c.study_id == sqlalchemy.bindparam("study_id"))


def insert_study(
    connection: sqlalchemy.Connection,
    name: str,
    directions: Sequence[StudyDirection],
    user_attrs: dict[str, Any],
    system_attrs: dict[str, Any],
) -> int:
    """Insert a new study with its directions and attributes.

    Args:
        connection: The transaction's connection.
        name: Name of the study.
        directions: The direction of each objective.
        user_attrs: User attributes, values that JSON can represent.
        system_attrs: System attributes, values that JSON can represent.

    Returns:
        The study's row id.
    """
    study_id = insert(connection, STUDIES, {"study_name": name})
    values = [{"study_id": study_id, "direction": one, "objective": number} for number, one in enumerate(directions)]
    connection.execute(STUDY_DIRECTIONS.insert(), values)
    for table, attrs in ((STUDY_USER_ATTRS, user_attrs), (STUDY_SYSTEM_ATTRS, system_attrs)):
        rows = [{"study_id": study_id, "key": key, "value_json": json.dumps(value)} for key, value in attrs.items()]
        if rows:
            connection.execute(table.insert(), rows)
    return study_id


def select_trials(
    connection: sqlalchemy.Connection, study_id: int, after_row: int, rows: Sequence[int]
) -> Sequence[Any]:
    """Select trials of a study.

    Args:
        connection: The connection.
        study_id: Row id of the study.
        after_row: Trials with a row id above this one are selected.
        rows: Row ids of further trials to select.

    Returns:
        Rows of (trial_id, state as text), ordered by row id.
    """
    bound = {"study_id": study_id, "after_row": after_row, "rows": list(rows)}
    return connection.execute(_SELECT_TRIALS, bound).all()


def lock_study(connection: sqlalchemy.Connection, study_id: int) -> str | None:
    """Lock the study's row, so that other programs cannot create trials until this transaction ends.

    Returns:
        The study's name; None if it does not exist.
    """
    query = sqlalchemy.select(STUDIES.c.study_name).where(STUDIES.c.study_id == study_id)
    return connection.execute(query.with_for_update()).scalar()


def select_study_attr(connection: sqlalchemy.Connection, study_id: int, key: str) -> str | None:
    """Return a system attribute of the study as JSON; None if it is not set."""
    table = STUDY_SYSTEM_ATTRS.c
    query = sqlalchemy.select(table.value_json).where(table.study_id == study_id, table.key == key)
    return connection.execute(query).scalar()


def count_trials(connection: sqlalchemy.Connection, study_id: int) -> int:
    """Return the number of the study's trials."""
    return int(connection.execute(_COUNT_TRIALS, {"study_id": study_id}).scalar_one())


def insert_trial(connection: sqlalchemy.Connection, study_id: int, trial: FrozenTrial) -> int:
    """Insert a RUNNING trial and return its row id."""
    values = {"number": trial.number, "study_id": study_id, "state": TrialState.RUNNING, **times(trial)}
    return insert(connection, TRIALS, values)


def insert(connection: sqlalchemy.Connection, table: sqlalchemy.Table, values: dict[str, Any]) -> int:
    """Insert a study or trial and return its row id.

    SQLite would reuse the id of a row that was deleted by hand, and so assign rows that were left in other tables to
    the new one, as it does not enforce foreign keys by default. So an id above all of these is chosen.
    """
    (own_id,) = table.primary_key.columns
    if connection.dialect.name == "sqlite":
        values = {own_id.name: connection.execute(_FREE_ID[table]).scalar_one() + 1, **values}
    result = connection.execute(table.insert().values(values))
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


def _highest_id(table: sqlalchemy.Table) -> Any:
    """Return a query for the highest id in a table and in the tables that refer to it."""
    (own_id,) = table.primary_key.columns
    named = [other.c[own_id.name] for other in (table, TRIALS, STUDY_DIRECTIONS, *KEYS) if own_id.name in other.c]
    highest = (sqlalchemy.select(sqlalchemy.func.max(column)).scalar_subquery() for column in named)
    return sqlalchemy.select(sqlalchemy.func.max(*(sqlalchemy.func.coalesce(one, 0) for one in highest)))


_FREE_ID = {table: _highest_id(table) for table in (STUDIES, TRIALS)}


def times(trial: FrozenTrial) -> dict[str, datetime | None]:
    """Return the columns of a trial's start and end."""
    return {
        "datetime_start": _as_stored(trial.datetime_start),
        "datetime_complete": _as_stored(trial.datetime_complete),
    }


def _as_stored(local: datetime | None) -> datetime | None:
    """Convert naive local time, as in Optuna's API, to naive UTC, as in its database."""
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None)


@lru_cache  # building a statement costs more than executing it
def upsert(dialect: str, table: sqlalchemy.Table, owner: str, columns: tuple[str, ...]) -> Any:
    """Return the statement that inserts rows, or replaces those of the same owner and key.

    Args:
        dialect: Name of SQLAlchemy's dialect.
        table: The table.
        owner: Column of the study's or trial's id.
        columns: All columns that are written.
    """
    statement = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    replaced = {name: statement.excluded[name] for name in columns if name not in (owner, KEYS[table])}
    return statement.on_conflict_do_update(index_elements=[owner, KEYS[table]], set_=replaced)
