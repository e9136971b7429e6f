"""Whether a database file is whole: its pages by SQLite's own check, its tables, and its rows by their digests.

What is found is said in words, None where nothing is. A StudyError says instead that the file could not be looked at,
which is no damage: what is found is looked for again on a new connection, once every byte has been read.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sweep.storage import rows
from sweep.storage.damage import find_any_damage, find_damage
from sweep.storage.sqlite.errors import BUSY_TIMEOUT_S, is_damage, said_by_driver, study_error, when_unlocked
from sweep.storage.sqlite.files import connect_to_read, read_plainly, reading_any_text
from sweep.storage.sqlite.wal import loses_transactions

NEEDED = {table.name for table in (rows.STUDIES, rows.TRIALS, *rows.KEYS)}
VERSION = "version_info"
EMPTY = "it is empty (if no study was ever in it, move it away, and its log too if there is one)"


def file_problem(path: Path) -> str | None:
    """Return what is wrong with an existing file as a whole, None if nothing."""
    return _confirmed(path, lambda: _whole_problem(path))


def row_problem(path: Path, study_name: str | None = None, *, ends_only: bool = False) -> str | None:
    """Return which study or trial, of all studies or of one, has been changed since the sweep wrote it."""
    return _row_problem(path, lambda database: find_any_damage(database, study_name, ends_only=ends_only))


def row_problem_after(path: Path, study_id: int, row: int) -> str | None:
    """Return the trial with a row id above `row`, or the study, that another program has changed."""
    return _row_problem(path, lambda database: find_damage(database, study_id, after_row=row))


def copy_problem(path: Path, *, with_rows: bool = True) -> str | None:
    """Return the problem of a file that nobody writes, or of its rows; nothing is created next to it."""

    def look() -> str | None:
        if path.stat().st_size == 0:
            return EMPTY
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True, isolation_level=None)) as database:
            problem = _find_broken_structure(reading_any_text(database))
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
    """In one transaction: what others write meanwhile is not seen in part. Waits while the file is locked."""

    def look() -> str | None:
        with closing(connect_to_read(path, BUSY_TIMEOUT_S, isolation_level=None)) as database:
            database.execute("BEGIN")
            return find(database)

    return when_unlocked(path, look)


def _confirmed(path: Path, look: Callable[[], str | None]) -> str | None:
    """What `look` finds a second time too: SQLite tells of a disk that failed to read once as of a damaged page."""
    try:
        if _in_words(look) is None:
            return None
        read_plainly(path)
        return _in_words(look)
    except (OSError, sqlite3.Error) as error:
        raise study_error(path, error) from None


def _in_words(look: Callable[[], str | None]) -> str | None:
    """What is found, or raised over damaged content."""
    try:
        return look()
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter over a name in a message
        if not is_damage(error):
            raise
        return said_by_driver(error)


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
