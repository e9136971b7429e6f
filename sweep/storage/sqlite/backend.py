"""Studies in one SQLite file, in write-ahead-log mode, so that readers are never blocked.

Readers open it with `mode=ro`: they cannot write by mistake.
"""

import sqlite3
import time
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy
from optuna.storages import RDBStorage

from sweep.errors import UNREADABLE, StudyError, SweepError
from sweep.storage.reader import Reader
from sweep.storage.sqlite.backup import back_up, damaged
from sweep.storage.sqlite.errors import (
    BUSY_TIMEOUT_S,
    DRIVER_ERRORS,
    is_damage,
    is_locked,
    is_read_only,
    speak_plainly,
    study_error,
    when_unlocked,
)
from sweep.storage.sqlite.files import connect_to_read, creation_lock, give_name, held, reading_any_text
from sweep.storage.sqlite.integrity import file_problem, row_problem, row_problem_after
from sweep.storage.sqlite.lock import FileLock

READER_TIMEOUT_S = 30
# Optuna sets a state in two steps, reading it and writing it, outside of one transaction: a trial that another program
# finished in between would be overwritten. It treats the refusal as a race that it lost.
FINISHED_STAYS = """
CREATE TRIGGER IF NOT EXISTS sweep_finished_trials_stay BEFORE UPDATE OF state ON trials
WHEN OLD.state IN ('COMPLETE', 'PRUNED', 'FAIL') BEGIN SELECT RAISE(ABORT, 'the trial is finished'); END
"""


class SqliteBackend:
    """Follows the `Backend` protocol."""

    driver_errors: tuple[type[Exception], ...] = DRIVER_ERRORS
    why_waiting, end_of_waiting = "another program has locked the database", "the database is free again"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)

    def create(self) -> None:
        """Make the file, Optuna's schema (or migrate nothing: an older schema is an error) and the write-ahead log."""
        path = self.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with held(creation_lock(path)):
                if not path.exists():
                    _create_complete(path)
                self.check()
                when_unlocked(path, lambda: _check_is_optunas(path))
                when_unlocked(path, lambda: _create_schema(path))
        except SweepError:
            raise
        except Exception as error:  # damaged tables may raise anything
            raise study_error(path, error) from None

    def check(self) -> None:
        """Raise StudyError if there is no file or, with the newest good backup, if it is damaged as a whole."""
        try:
            problem = file_problem(self._existing_path())
        except OSError as error:
            raise self.error(error) from None
        if problem is not None:
            raise self.damaged(problem)

    def connect_writer(self, study_name: str | None = None) -> sqlalchemy.Engine:
        """Return an engine whose transactions take SQLite's write lock at BEGIN, before they read."""
        engine = sqlalchemy.create_engine(f"sqlite:///{self.path}", connect_args={"timeout": BUSY_TIMEOUT_S})

        @sqlalchemy.event.listens_for(engine, "connect")
        def _on_connect(connection: Any, _: Any) -> None:
            reading_any_text(connection)
            connection.isolation_level = None  # the driver shall not begin by itself
            connection.execute("PRAGMA synchronous=FULL")  # what is committed survives a power failure

        @sqlalchemy.event.listens_for(engine, "begin")
        def _on_begin(connection: sqlalchemy.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        return engine

    def connect_reader(self, *, write: bool = False, **engine_options: Any) -> Reader:
        """Open Optuna's storage, waiting while readers are locked out. A read-only one raises only StudyError."""
        path = self.path
        try:
            when_unlocked(path, lambda: _check_is_optunas(self._existing_path()))
            options = {"creator": partial(_connect, path, write=write), **engine_options}
            open_reader = partial(Reader, f"sqlite:///{path}", engine_kwargs=options, skip_table_creation=True)
            try:
                storage = open_reader()
            except Exception as error:
                if not is_read_only(error):
                    raise
                _create_schema(path)  # Optuna writes its version last, which a process that died has not done
                storage = open_reader()
        except SweepError:
            raise
        except Exception as error:  # damaged tables may raise anything
            raise study_error(path, error) from None
        if not write:  # one that writes is Optuna's own affair, with repetitions that look at the kind of error
            speak_plainly(storage.engine, path)
        return storage

    def row_problem(self, study_name: str | None, *, ends_only: bool) -> str | None:
        """Check the rows through Python's sqlite3 module."""
        return row_problem(self.path, study_name, ends_only=ends_only)

    def row_problem_after(self, study_id: int, row: int) -> str | None:
        """Check the rows through Python's sqlite3 module."""
        return row_problem_after(self.path, study_id, row)

    def damaged(self, problem: str) -> StudyError:
        """Return the error with the newest good backup."""
        return damaged(self.path, problem)

    def unreadable(self, said: str) -> StudyError:
        """Return `damaged` only if a check confirms it."""
        problem = file_problem(self.path) or row_problem(self.path)
        return self.damaged(problem) if problem else StudyError(f"{self.path}: {UNREADABLE.format(said=said)}")

    def error(self, error: BaseException) -> StudyError:
        """Return the error as a StudyError."""
        return study_error(self.path, error)

    def is_damage(self, error: BaseException) -> bool:
        """Return whether the content, not a lock or the disk, caused the error."""
        return is_damage(error)

    def is_passing(self, error: BaseException) -> bool:
        """Return whether another program has locked the file."""
        return is_locked(self.path, error)

    def is_connection_lost(self, error: BaseException) -> bool:
        """Return False: a file has no connection that could be lost."""
        return False

    def identity(self) -> object:
        """Identify the file: SQLite would continue to write into one that was deleted."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.error(error) from None
        return status.st_dev, status.st_ino

    def lock(self, study_name: str) -> FileLock:
        """Lock the study by a file next to the database."""
        return FileLock(self.path, study_name)

    def back_up(self) -> None:
        """Copy it into the folder `backups` next to it."""
        back_up(self.path)

    def release(self, writer: sqlalchemy.Engine) -> None:
        """Put everything into the one file, so that it can be copied.

        Where that cannot be done now (the disk is full, another program has locked it) the log stays next to the file.
        """
        with suppress(*DRIVER_ERRORS), closing(writer.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        writer.dispose()

    def _existing_path(self) -> Path:
        if not self.path.exists():
            raise StudyError(
                f"{self.path}: no studies yet; `sweep run SPACE` creates one, --studies DIR looks elsewhere"
            )
        if not self.path.is_file():
            raise StudyError(f"{self.path}: is not a file; choose another --studies or --storage")
        return self.path


def _connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """What an engine of a `Reader` opens. A function of the module, so that the storage can be pickled."""
    if write:  # which creates no file either
        uri = f"file:{path}?mode=rw"
        return reading_any_text(sqlite3.connect(uri, READER_TIMEOUT_S, uri=True, check_same_thread=False))
    return connect_to_read(path, READER_TIMEOUT_S, check_same_thread=False)


def _check_is_optunas(path: Path) -> None:
    """StudyError for a file with tables that are not Optuna's, before anything is written into it."""
    with closing(connect_to_read(path, BUSY_TIMEOUT_S)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "version_info" not in tables:
        raise StudyError(f"{path}: is another program's database; choose another --studies or --storage")


def _create_complete(path: Path) -> None:
    """Appear under the name with the whole schema: whoever opens it meanwhile would create tables too, and collide.

    In write-ahead-log mode too: a process that died while it changes that would leave a journal behind.
    """
    fresh = path.with_name(f".{path.name}.new")
    _remove(fresh)
    try:
        _create_schema(fresh)
        _set_logs_aside(path)
        give_name(fresh, path)
    finally:
        _remove(fresh)


def _set_logs_aside(path: Path) -> None:
    """Those of a file that is gone: SQLite would play them into the new one."""
    for suffix in ("-journal", "-wal", "-shm"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            log.rename(log.with_name(f"{log.name}.left-{time.time_ns()}"))


def _remove(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _create_schema(path: Path) -> None:
    """Optuna's tables and our trigger where they are missing, and the write-ahead log."""
    engine = RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": BUSY_TIMEOUT_S}}).engine
    with engine.connect() as connection:
        connection.exec_driver_sql(FINISHED_STAYS)
        connection.commit()
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")  # at last, so that nothing is in a new file's log
    engine.dispose()
