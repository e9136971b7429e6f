"""Copy a study into another database: all of its rows, read from one snapshot, written in one transaction, compared."""

import re
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import sqlalchemy

from sweep.errors import StudyError
from sweep.storage import rows
from sweep.storage.backend import Backend
from sweep.storage.database import backend_of, create_database, study_lock
from sweep.storage.studies import check_is_there, check_rows, reading
from sweep.storage.writer import begin, driver_errors_converted

OF_STUDY = (rows.STUDY_DIRECTIONS, rows.STUDY_USER_ATTRS, rows.STUDY_SYSTEM_ATTRS)
OF_TRIALS = (
    *(rows.TRIAL_PARAMS, rows.TRIAL_VALUES, rows.TRIAL_INTERMEDIATE_VALUES),
    *(rows.TRIAL_USER_ATTRS, rows.TRIAL_SYSTEM_ATTRS),
)
MOST_ROWS = 10_000  # per statement
Content = dict[str, list[dict[str, Any]]]  # rows by table; trials are identified by number, as row ids differ


def copy_study(name: str, source_url: str, target_url: str) -> Mapping[str, int]:
    """Copy a study with its digests. The copy can be resumed, and continues with the same trials.

    Args:
        name: Name of the study.
        source_url: Database to copy from.
        target_url: Database to copy to; it is created if it does not exist.

    Returns:
        The number of rows copied, by table.

    Raises:
        StudyError: There is no such study, it is being swept, or the target has a study of this name.
    """
    if source_url == target_url:
        raise StudyError(f"study {name} would be copied onto itself; --from and --to must be two databases")
    check_is_there(source_url, name)
    create_database(target_url)
    with study_lock(source_url, name), study_lock(target_url, name):
        check_rows(source_url, name)
        content = _read(source_url, name)
        backend = backend_of(target_url)
        engine = backend.connect_writer(name)
        try:
            with driver_errors_converted(backend), closing(begin(engine)) as connection:
                _write(connection, backend, name, content)
                connection.commit()
        finally:
            backend.release(engine)
    return {table: len(found) for table, found in content.items()}


def _read(url: str, name: str) -> Content:
    reader = backend_of(url).connect_reader()
    with reading(url), reader.at_one_moment() as connection:
        return _content(connection, name)


def _content(connection: sqlalchemy.Connection, name: str) -> Content:
    studies, trials = rows.STUDIES.c, rows.TRIALS.c
    study_id = connection.execute(sqlalchemy.select(studies.study_id).where(studies.study_name == name)).scalar_one()
    content = {rows.TRIALS.name: _rows(connection, rows.TRIALS, trials.study_id == study_id)}
    numbers = {row.pop("trial_id"): row["number"] for row in content[rows.TRIALS.name]}
    for table in OF_STUDY:
        content[table.name] = _rows(connection, table, table.c.study_id == study_id)
    for table in OF_TRIALS:
        of_study = table.c.trial_id.in_(sqlalchemy.select(trials.trial_id).where(trials.study_id == study_id))
        content[table.name] = _rows(connection, table, of_study)
        for row in content[table.name]:
            row["trial_id"] = numbers[row["trial_id"]]
    for row in content[rows.STUDY_SYSTEM_ATTRS.name]:
        row["key"] = _renamed(row["key"], numbers)
    return content


def _rows(connection: sqlalchemy.Connection, table: sqlalchemy.Table, condition: Any) -> list[dict[str, Any]]:
    """Return rows in the order in which they were written, without their own ids and the study's."""
    (own_id,) = table.primary_key.columns
    left_out = {"study_id"} if table is rows.TRIALS else {"study_id", own_id.name}
    query = sqlalchemy.select(*(column for column in table.c if column.name not in left_out))
    return [dict(row) for row in connection.execute(query.where(condition).order_by(own_id)).mappings()]


def _write(connection: sqlalchemy.Connection, backend: Backend, name: str, content: Content) -> None:
    studies = rows.STUDIES.c
    if connection.execute(sqlalchemy.select(studies.study_id).where(studies.study_name == name)).first():
        raise StudyError(f"{backend.name}: has a study {name} already; delete or rename one of them")
    study_id = rows.insert(connection, rows.STUDIES, {"study_name": name})
    _insert(connection, rows.TRIALS, [{**row, "study_id": study_id} for row in content[rows.TRIALS.name]])
    trials = rows.TRIALS.c
    found = connection.execute(sqlalchemy.select(trials.number, trials.trial_id).where(trials.study_id == study_id))
    ids = dict(map(tuple, found))
    for table in OF_TRIALS:
        _insert(connection, table, [{**row, "trial_id": ids[row["trial_id"]]} for row in content[table.name]])
    for table in OF_STUDY:
        named = [{**row, "study_id": study_id} for row in content[table.name]]
        if table is rows.STUDY_SYSTEM_ATTRS:
            named = [{**row, "key": _renamed(row["key"], ids)} for row in named]
        _insert(connection, table, named)
    if _content(connection, name) != content:
        raise StudyError(f"{backend.name}: does not return what was written; nothing was copied")


def _insert(connection: sqlalchemy.Connection, table: sqlalchemy.Table, values: list[dict[str, Any]]) -> None:
    for start in range(0, len(values), MOST_ROWS):
        connection.execute(table.insert(), values[start : start + MOST_ROWS])


def _renamed(key: str, names: Mapping[int, int]) -> str:
    """Replace the trial id in a study attribute of optuna-dashboard, such as `dashboard:17:note_ver`."""
    return re.sub(r"(?<=^dashboard:)\d+(?=:)", lambda found: str(names.get(int(found[0]), found[0])), key)
