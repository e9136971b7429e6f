"""Convert errors of SQLite to StudyErrors, and wait while another program has the database locked."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import sqlalchemy

from sweep.errors import DISK_IS_FULL, NO_LOCKS, NO_LOCKS_ERRORS, StudyError
from sweep.storage.sqlite.files import supports_locks
from sweep.storage.waiting import WAIT, Result, Wait, retry
from sweep.text import first_line

BUSY_TIMEOUT_S = 1  # signals are not handled while SQLite waits, so longer waits are retries
LEAST_FREE_BYTES = 2**16  # the index of SQLite's write-ahead log alone takes 32 kB
DRIVER_ERRORS = (sqlite3.DatabaseError, sqlalchemy.exc.DatabaseError)
LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
DISK_FAILS = "the disk fails to read or write; repair it, then run the same command to resume"
ADVICE: dict[int | None, str] = {  # by SQLite's result code, primary or extended
    sqlite3.SQLITE_FULL: DISK_IS_FULL,
    sqlite3.SQLITE_IOERR: DISK_FAILS,
    sqlite3.SQLITE_READONLY: "is read-only; make it and its folder writable, or choose another --studies",
    sqlite3.SQLITE_READONLY_ROLLBACK: (
        "a process was killed while it wrote, and its unfinished write must be rolled back; make the file and its "
        "folder writable, or copy it together with the file next to it that ends in -journal to a writable folder"
    ),
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; make it and its folder readable and writable, or use another --studies",
    sqlite3.SQLITE_NOMEM: "memory is full; close other programs, then run the same command to resume",
    **dict.fromkeys(LOCKED, "another program keeps it locked; stop that program, then run the same command to resume"),
}
SYSTEM_ADVICE: dict[int | None, str] = {  # by `errno`
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), DISK_IS_FULL),
    errno.EIO: DISK_FAILS,
    errno.ESTALE: "its network file system is gone; mount it again, then run the same command to resume",
    **dict.fromkeys(
        (errno.EMFILE, errno.ENFILE), "too many files are open; raise `ulimit -n`, then run the same command to resume"
    ),
    **dict.fromkeys(NO_LOCKS_ERRORS, f"{NO_LOCKS}--studies"),
    errno.ENOMEM: ADVICE[sqlite3.SQLITE_NOMEM],
}


def when_unlocked(path: Path, action: Callable[[], Result], wait: Wait = WAIT) -> Result:
    """Call `action`, and retry it while another program has the database locked.

    Args:
        path: The database.
        action: Waits about a second inside SQLite if the database is locked.
        wait: How to wait between retries.

    Returns:
        The result of `action`.
    """
    why, end = "another program has locked the database", "the database is free again"
    return retry(action, lambda error: is_locked(path, error), wait, why, end)


def is_locked(path: Path, error: BaseException) -> bool:
    """Return whether an error, possibly wrapped by SQLAlchemy or Optuna, is SQLite's for a temporary lock."""
    return _code(error) in LOCKED and supports_locks(path)


def is_read_only(error: BaseException) -> bool:
    """Return whether the error is that of a write through a read-only connection."""
    return _code(error) == sqlite3.SQLITE_READONLY


def study_error(path: Path, error: BaseException) -> StudyError:
    """Convert an OSError, or an error of SQLite that SQLAlchemy or Optuna may have wrapped, to a StudyError."""
    if isinstance(error, OSError):
        advice = f"cannot be written ({error.strerror}); choose another --studies"
        return StudyError(f"{path}: {SYSTEM_ADVICE.get(error.errno, advice)}")
    code = _code(error)
    fix = ADVICE.get(_code(error, is_extended=True)) or ADVICE.get(code)
    if fix is None:
        return StudyError(f"{path}: not usable as a study database: {driver_message(error)}")
    return StudyError(f"{path}: {_system_advice(path, code) or fix} ({driver_message(error)})")


def is_damage(error: BaseException) -> bool:
    """Return whether an error while reading is caused by damaged content, not by a lock or the system."""
    return not isinstance(error, OSError) and _code(error) not in ADVICE


def raise_study_errors(engine: sqlalchemy.Engine, path: Path) -> None:
    """Convert errors of this engine to StudyError, also below Optuna, which would wrap SQLAlchemy's."""

    @sqlalchemy.event.listens_for(engine, "handle_error")
    def _on_error(context: sqlalchemy.engine.ExceptionContext) -> None:
        if isinstance(context.original_exception, sqlite3.DatabaseError):
            raise study_error(path, context.original_exception) from None


def _code(error: BaseException, *, is_extended: bool = False) -> int | None:
    """Return SQLite's primary or extended result code; None if the error is not SQLite's."""
    code = getattr(innermost(error), "sqlite_errorcode", None)
    return None if code is None else int(code) if is_extended else int(code) & 0xFF


def _system_advice(path: Path, code: int | None) -> str | None:
    """Return advice for the system's own error, which SQLite does not report, None if there is none.

    The database itself is not opened, as closing it would release SQLite's locks.
    """
    if code in LOCKED:
        return None if supports_locks(path) else f"{NO_LOCKS}--studies"
    if code == sqlite3.SQLITE_IOERR and _is_disk_full(path):
        return DISK_IS_FULL
    try:
        path.stat()
        os.close(os.open(path.parent, os.O_RDONLY))
    except OSError as error:
        return SYSTEM_ADVICE.get(error.errno)
    return None


def innermost(error: BaseException) -> BaseException:
    """Return the driver's error that SQLAlchemy or Optuna has wrapped."""
    cause = error.__cause__ or error
    return getattr(cause, "orig", None) or cause


def driver_message(error: BaseException) -> str:
    """Return the message of SQLite or Optuna in one line, without what SQLAlchemy adds."""
    return first_line(innermost(error))


def _is_disk_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < LEAST_FREE_BYTES
    except OSError:
        return False
