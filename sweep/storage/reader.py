"""Read an Optuna storage by SQLAlchemy Core rows, in a sixth of the time that Optuna's ORM objects take.

What other programs wrote is read as far as possible (`trial_rows`).
"""

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from typing import Any

import sqlalchemy
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from sweep.storage import rows
from sweep.storage.optuna_internals import FrozenStudy, RowStorage
from sweep.storage.trial_rows import TrialReading, plain, read_json

ORDER = {  # the primary key of each table: the order of writing
    rows.TRIAL_PARAMS: "param_id",
    rows.TRIAL_VALUES: "trial_value_id",
    rows.TRIAL_INTERMEDIATE_VALUES: "trial_intermediate_value_id",
    rows.TRIAL_USER_ATTRS: "trial_user_attribute_id",
    rows.TRIAL_SYSTEM_ATTRS: "trial_system_attribute_id",
}
_STUDIES, _DIRECTIONS = rows.STUDIES.c, rows.STUDY_DIRECTIONS.c
_COUNT_DIRECTIONS = sqlalchemy.select(sqlalchemy.func.count()).where(
    _DIRECTIONS.study_id == sqlalchemy.bindparam("study_id")
)


class Reader(RowStorage):
    """An `RDBStorage` whose `get_all_trials` is faster and reads one snapshot of the database.

    Trials share their distribution objects. A trial of another program that cannot be used is returned as a FAIL (see
    `set_aside`); an attribute that cannot be read is omitted.
    """

    def read_trials(self, study_id: int, after_row: int, included: Collection[int]) -> list[FrozenTrial]:
        """Return trials of a study, ordered by row id.

        Args:
            study_id: Row id of the study.
            after_row: Trials with a row id above this one are returned.
            included: Row ids of further trials to return.

        Raises:
            KeyError: There is no such study.
        """
        is_read = rows.TRIALS.c.trial_id > after_row
        if included:
            is_read |= rows.TRIALS.c.trial_id.in_(sqlalchemy.literal([*included], literal_execute=True))
        chosen = sqlalchemy.and_(rows.TRIALS.c.study_id == study_id, is_read)
        with self.at_one_moment() as connection:
            _check_study(connection, study_id)
            return _read_trials(connection, chosen, study_id)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return a trial as `read_trials` does. Raise KeyError if there is no such trial."""
        with self.at_one_moment() as connection:
            study_id = _study_of(connection, trial_id)
            (trial,) = _read_trials(connection, rows.TRIALS.c.trial_id == trial_id, study_id)
            return trial

    def study_of(self, trial_id: int) -> int:
        """Return the row id of the trial's study. Raise KeyError if there is no such trial."""
        with self.at_one_moment() as connection:
            return _study_of(connection, trial_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the attributes that can be read."""
        return self._study_attrs(rows.STUDY_USER_ATTRS, study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the attributes that can be read."""
        return self._study_attrs(rows.STUDY_SYSTEM_ATTRS, study_id)

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return all studies except those without a readable direction, which cannot be shown."""
        with self.at_one_moment() as connection:
            query = sqlalchemy.select(_STUDIES.study_id, rows.STUDY_NAME).order_by(_STUDIES.study_id)
            names = dict(map(tuple, connection.execute(query)))
            directions = study_directions(connection)
            user, system = (
                _attrs_by_study(connection, table) for table in (rows.STUDY_USER_ATTRS, rows.STUDY_SYSTEM_ATTRS)
            )
        return [
            FrozenStudy(name, None, user.get(row, {}), system.get(row, {}), row, directions=directions[row])
            for row, name in names.items()
            if row in directions
        ]

    def _study_attrs(self, table: sqlalchemy.Table, study_id: int) -> dict[str, Any]:
        with self.at_one_moment() as connection:
            _check_study(connection, study_id)
            return _attrs_by_study(connection, table, table.c.study_id == study_id).get(study_id, {})

    @contextmanager
    def at_one_moment(self) -> Iterator[sqlalchemy.Connection]:
        """Open a connection whose queries all see one snapshot of the database."""
        if self.scoped_session().in_transaction():  # called by Optuna within its own transaction
            yield self.scoped_session().connection()
            return
        with closing(self.scoped_session()) as session:
            if self.engine.dialect.name == "postgresql":
                yield session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            else:
                connection = session.connection()
                connection.exec_driver_sql("BEGIN")  # SQLite's driver would begin only at the first write
                yield connection


def study_directions(connection: sqlalchemy.Connection) -> dict[int, list[StudyDirection]]:
    """Return the directions of each study by row id, without studies whose directions cannot be read."""
    found: dict[int, dict[Any, Any]] = {}
    columns = (_DIRECTIONS.study_id, plain(_DIRECTIONS.objective), plain(_DIRECTIONS.direction))
    for study_id, objective, direction in connection.execute(sqlalchemy.select(*columns)):
        found.setdefault(study_id, {})[objective] = direction
    names = StudyDirection.__members__
    return {
        study_id: [names[directions[objective]] for objective in range(len(directions))]
        for study_id, directions in found.items()
        if directions.keys() == {*range(len(directions))} and {*directions.values()} <= names.keys()
    }


def _study_of(connection: sqlalchemy.Connection, trial_id: int) -> int:
    query = sqlalchemy.select(rows.TRIALS.c.study_id).where(rows.TRIALS.c.trial_id == trial_id)
    study_id = connection.execute(query).scalar()
    if study_id is None:
        raise KeyError(f"no trial has the id {trial_id}")
    return int(study_id)


def _check_study(connection: sqlalchemy.Connection, study_id: int) -> None:
    if connection.execute(sqlalchemy.select(_STUDIES.study_id).where(_STUDIES.study_id == study_id)).first() is None:
        raise KeyError(f"no study has the id {study_id}")


def _attrs_by_study(
    connection: sqlalchemy.Connection, table: sqlalchemy.Table, condition: Any = None
) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    query = sqlalchemy.select(table.c.study_id, plain(table.c.key), plain(table.c.value_json))
    for study_id, key, text in connection.execute(query if condition is None else query.where(condition)):
        read_json(found.setdefault(study_id, {}), key, text)
    return found


def _read_trials(connection: sqlalchemy.Connection, chosen: Any, study_id: int) -> list[FrozenTrial]:
    """Return the trials of a condition on the table of trials, read by one query per table."""
    table = rows.TRIALS.c
    columns = (table.number, table.state, table.datetime_start, table.datetime_complete)
    query = sqlalchemy.select(table.trial_id, *map(plain, columns)).where(chosen).order_by(table.trial_id)
    trials = {row: TrialReading(row, *values) for row, *values in connection.execute(query)}
    for row, reading in trials.items():
        if not reading.has_number:
            before = sqlalchemy.and_(table.study_id == study_id, table.trial_id < row)
            count = sqlalchemy.select(sqlalchemy.func.count()).where(before)
            reading.frozen.number = connection.execute(count).scalar_one()

    def of(table: sqlalchemy.Table, *columns: str) -> Iterator[Any]:
        of_these = table.c.trial_id.in_(sqlalchemy.select(rows.TRIALS.c.trial_id).where(chosen))
        selected = sqlalchemy.select(table.c.trial_id, *(plain(table.c[column]) for column in columns))
        return iter(connection.execute(selected.where(of_these).order_by(table.c[ORDER[table]])))

    for row, *param in of(rows.TRIAL_PARAMS, "param_name", "param_value", "distribution_json"):
        trials[row].add_param(*param)
    for row, *value in of(rows.TRIAL_VALUES, "objective", "value", "value_type"):
        trials[row].add_value(*value)
    columns_of_steps = ("step", "intermediate_value", "intermediate_value_type")
    for row, *value in of(rows.TRIAL_INTERMEDIATE_VALUES, *columns_of_steps):
        trials[row].add_intermediate_value(*value)
    for row, key, text in of(rows.TRIAL_USER_ATTRS, "key", "value_json"):
        read_json(trials[row].frozen.user_attrs, key, text)
    for row, key, text in of(rows.TRIAL_SYSTEM_ATTRS, "key", "value_json"):
        read_json(trials[row].frozen.system_attrs, key, text)
    num_objectives = connection.execute(_COUNT_DIRECTIONS, {"study_id": study_id}).scalar_one()
    return [trial.trial(num_objectives) for trial in trials.values()]
