"""Whether a database file is whole: its pages by SQLite's own check, its tables, and its rows by their digests.

What is found is said in words, None where nothing is. A StudyError says instead that the file could not be looked at,
which is no damage.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sweep.storage import rows
from sweep.storage.damage import find_any_damage, find_damage
from sweep.storage.database_errors import BUSY_TIMEOUT_S, first_line, is_damage, study_error, when_unlocked
from sweep.storage.files import uri_to_read
from sweep.storage.wal import loses_transactions

NEEDED = {table.name for table in (rows.STUDIES, rows.TRIALS, *rows.KEYS)}
VERSION = "version_info"
EMPTY = "it is empty (if no study was ever in it, remove it)"


def file_problem(path: Path) -> str | None:
    """What is wrong with the file as a whole; it exists."""
    if path.stat().st_size == 0:
        return EMPTY
    if loses_transactions(path.with_name(f"{path.name}-wal")):
        return "its write-ahead log is damaged"
    return _look(path, uri_to_read(path), _find_broken_structure)


def row_problem(path: Path, study_name: str | None = None, *, ends_only: bool = False) -> str | None:
    """Which study or trial, of all studies or of one, is not as the sweep wrote it."""
    return _look(path, uri_to_read(path), lambda database: find_any_damage(database, study_name, ends_only=ends_only))


def row_problem_after(path: Path, study_id: int, row: int) -> str | None:
    """Which of the study's trials with a row id above `row`, or the study itself, is not as the sweep wrote it."""
    return _look(path, uri_to_read(path), lambda database: find_damage(database, study_id, after_row=row))


def copy_problem(path: Path) -> str | None:
    """Both, of a file that nobody writes; nothing is created beside it."""
    if path.stat().st_size == 0:
        return EMPTY
    uri = f"file:{path}?mode=ro&immutable=1"
    return _look(path, uri, lambda database: _find_broken_structure(database) or find_any_damage(database))


def _look(path: Path, uri: str, find: Callable[[sqlite3.Connection], str | None]) -> str | None:
    """In one transaction: what others write meanwhile is not seen in part. Waits while the file is locked."""

    def look() -> str | None:
        with closing(sqlite3.connect(uri, BUSY_TIMEOUT_S, uri=True, isolation_level=None)) as database:
            database.execute("BEGIN")
            return find(database)

    try:
        return when_unlocked(look)
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter over a name in a message
        if is_damage(error):
            return first_line(error)
        raise study_error(path, error) from None


def _find_broken_structure(database: sqlite3.Connection) -> str | None:
    (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        return str(found).splitlines()[-1]
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:  # SQLite takes the first bytes of a database for an empty one
        return EMPTY
    missing = {*NEEDED, VERSION} - tables
    is_optunas = VERSION in tables or missing == {VERSION}
    return f"it has no table {min(missing)}" if is_optunas and missing else None
