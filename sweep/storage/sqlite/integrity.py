"""Check a database file: its pages by SQLite's own check, its tables, and its rows by their digests.

The functions return a description of the damage, None if there is none, and raise StudyError if the file cannot be
read, which is not damage. Damage is reported only if a second check, on a new connection and after every byte has been
read, finds it too.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sweep.storage import rows
from sweep.storage.damage import find_any_damage, find_damage
from sweep.storage.sqlite.errors import BUSY_TIMEOUT_S, driver_message, is_damage, study_error, when_unlocked
from sweep.storage.sqlite.files import connect_to_read, decode_any_text, read_all_bytes
from sweep.storage.sqlite.wal import loses_transactions

NEEDED = {table.name for table in (rows.STUDIES, rows.TRIALS, *rows.KEYS)}
VERSION = "version_info"
EMPTY = "it is empty (if no study was ever in it, move it away, together with its log if one exists)"


def file_problem(path: Path) -> str | None:
    """Return what is wrong with the pages and tables of an existing file, None if nothing is."""
    return _confirmed(path, lambda: _whole_problem(path))


def row_problem(path: Path, study_name: str | None = None, *, ends_only: bool = False) -> str | None:
    """Return which study or trial has been changed since the sweep wrote it; see `find_any_damage`."""
    return _row_problem(path, lambda database: find_any_damage(database, study_name, ends_only=ends_only))


def row_problem_after(path: Path, study_id: int, row: int) -> str | None:
    """Return which trial with a row id above `row` has been changed, or the study; see `find_damage`."""
    return _row_problem(path, lambda database: find_damage(database, study_id, after_row=row))


def copy_problem(path: Path, *, with_rows: bool = True) -> str | None:
    """Return what is wrong with a file that no process writes, None if nothing is. No log is created next to it.

    Args:
        path: The file.
        with_rows: Whether to check the rows too.
    """

    def look() -> str | None:
        if path.stat().st_size == 0:
            return EMPTY
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True, isolation_level=None)) as database:
            problem = _find_broken_structure(decode_any_text(database))
            return find_any_damage(database) if problem is None and with_rows else problem

    return _confirmed(path, look)


def _whole_problem(path: Path) -> str | None:
    if path.stat().st_size == 0:
        return EMPTY
    if loses_transactions(path.with_name(f"{path.name}-wal")):
        return "its write-ahead log is damaged"
    return _look(path, _find_broken_structure)


def _row_problem(path: Path, find: Callable[[sqlite3.Connection], str | None]) -> str | None:
    return _confirmed(path, lambda: _look(path, find))


def _look(path: Path, find: Callable[[sqlite3.Connection], str | None]) -> str | None:
    """Check a file in one transaction, so that all rows are of one snapshot. Wait while the file is locked."""

    def look() -> str | None:
        with closing(connect_to_read(path, BUSY_TIMEOUT_S, isolation_level=None)) as database:
            database.execute("BEGIN")
            return find(database)

    return when_unlocked(path, look)


def _confirmed(path: Path, look: Callable[[], str | None]) -> str | None:
    """Return what `look` finds twice: SQLite reports a disk that failed to read once as a damaged page."""
    try:
        if _find_problem(look) is None:
            return None
        read_all_bytes(path)
        return _find_problem(look)
    except (OSError, sqlite3.Error) as error:
        raise study_error(path, error) from None


def _find_problem(look: Callable[[], str | None]) -> str | None:
    """Return the result of `look`, or the message of an error that damaged content raises."""
    try:
        return look()
    except (sqlite3.Error, UnicodeDecodeError) as error:  # a damaged name may not be decodable
        if not is_damage(error):
            raise
        return driver_message(error)


def _find_broken_structure(database: sqlite3.Connection) -> str | None:
    (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        return str(found).splitlines()[-1]
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:  # SQLite reads the truncated start of a database as an empty one
        return EMPTY
    missing = {*NEEDED, VERSION} - tables
    is_optunas = VERSION in tables or missing == {VERSION}
    return f"it has no table {min(missing)}" if is_optunas and missing else None
