"""SQLite's errors in a user's words, and waiting while another program has the database locked."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy

from sweep.errors import DISK_IS_FULL, StudyError, is_disk_full
from sweep.storage.waiting import WAIT, Result, Wait, tried_again

BUSY_TIMEOUT_S = 1  # a wait inside SQLite hides signals; longer waits are `tried_again`
LEAST_FREE_BYTES = 2**16  # SQLite's index of the log alone takes 32 kB
DRIVER_ERRORS = (sqlite3.DatabaseError, sqlalchemy.exc.DatabaseError)
LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
ADVICE = {
    sqlite3.SQLITE_FULL: DISK_IS_FULL,
    sqlite3.SQLITE_IOERR: "the disk fails to read or write; mend it, then the same command goes on",
    sqlite3.SQLITE_READONLY: "is read-only; let it and its folder be written, or choose another --studies",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; let it and its folder be read and written, or choose another --studies",
    **dict.fromkeys(LOCKED, "another program keeps it locked; end that one, then the same command goes on"),
}


def when_unlocked(action: Callable[[], Result], wait: Wait = WAIT) -> Result:
    """What `action` gives, tried again as long as another program has the database locked.

    The action itself waits a second or so inside SQLite.
    """
    return tried_again(action, is_locked, wait, "another program has locked the database", "the database is free again")


def is_locked(error: BaseException) -> bool:
    """Whether it is an error of SQLite, as SQLAlchemy or Optuna may have wrapped it, that passes."""
    return _primary_code(error) in LOCKED


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Whatever SQLite raises in the body becomes a StudyError with the fix."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise study_error(path, error) from None


def study_error(path: Path, error: BaseException) -> StudyError:
    """The StudyError that an error of SQLite, as SQLAlchemy or Optuna may have wrapped it, or of a file becomes."""
    if isinstance(error, OSError):
        advice = f"cannot be written ({error.strerror}); choose another --studies"
        return StudyError(f"{path}: {DISK_IS_FULL if is_disk_full(error) else advice}")
    code = _primary_code(error)
    if code == sqlite3.SQLITE_IOERR and _is_disk_full(path):
        code = sqlite3.SQLITE_FULL
    if code in ADVICE:
        return StudyError(f"{path}: {ADVICE[code]} ({first_line(error)})")
    return StudyError(f"{path}: not usable as a study database: {first_line(error)}")


def is_damage(error: BaseException) -> bool:
    """Whether an error while reading is the content's fault: not a lock's, nor the disk's."""
    return _primary_code(error) not in ADVICE


def speak_plainly(engine: sqlalchemy.Engine, path: Path) -> None:
    """Errors of this engine reach the caller as StudyError, also through Optuna, which would wrap SQLAlchemy's."""

    @sqlalchemy.event.listens_for(engine, "handle_error")
    def _on_error(context: sqlalchemy.engine.ExceptionContext) -> None:
        if isinstance(context.original_exception, sqlite3.DatabaseError):
            raise study_error(path, context.original_exception) from None


def _primary_code(error: BaseException) -> int | None:
    """SQLite's result code without its extension; None if the error is not SQLite's."""
    code = getattr(innermost(error), "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


def innermost(error: BaseException) -> BaseException:
    """The driver's own error."""
    cause = error.__cause__ or error
    return getattr(cause, "orig", None) or cause


def first_line(error: BaseException) -> str:
    """What SQLite or Optuna says, without SQLAlchemy's words around it."""
    lines = str(innermost(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _is_disk_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < LEAST_FREE_BYTES
    except OSError:
        return False
