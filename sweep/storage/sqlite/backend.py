"""Store studies in a SQLite file, in write-ahead-log mode, so that readers are never blocked.

Readers open the file with `mode=ro`, so that they cannot write by mistake.
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
    raise_study_errors,
    study_error,
    when_unlocked,
)
from sweep.storage.sqlite.files import connect_to_read, creation_lock, decode_any_text, held, rename_durably
from sweep.storage.sqlite.integrity import file_problem, row_problem, row_problem_after
from sweep.storage.sqlite.lock import FileLock

READER_TIMEOUT_S = 30
# Optuna reads and writes a state in two transactions, so a trial that another program finished in between would be
# overwritten. It handles the error of this trigger as a lost race.
FINISHED_STAYS = """
CREATE TRIGGER IF NOT EXISTS sweep_finished_trials_stay BEFORE UPDATE OF state ON trials
WHEN OLD.state IN ('COMPLETE', 'PRUNED', 'FAIL') BEGIN SELECT RAISE(ABORT, 'the trial is finished'); END
"""


class SqliteBackend:
    """A SQLite file; implements the `Backend` protocol."""

    driver_errors: tuple[type[Exception], ...] = DRIVER_ERRORS
    why_waiting, end_of_waiting = "another program has locked the database", "the database is free again"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)

    def create(self) -> None:
        """Create the file, Optuna's schema and the write-ahead log; an older schema is an error, it is not migrated."""
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
        """Raise StudyError if there is no file, or if it is damaged; the message then names the newest good backup."""
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
            decode_any_text(connection)
            connection.isolation_level = None  # the driver must not begin transactions by itself
            connection.execute("PRAGMA synchronous=FULL")  # a commit survives a power failure

        @sqlalchemy.event.listens_for(engine, "begin")
        def _on_begin(connection: sqlalchemy.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        return engine

    def connect_reader(self, *, write: bool = False, **engine_options: Any) -> Reader:
        """Open Optuna's storage, after waiting while readers are locked out. A read-only one raises only StudyError."""
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
                _create_schema(path)  # a process that was killed has not written the schema's version, which is last
                storage = open_reader()
        except SweepError:
            raise
        except Exception as error:  # damaged tables may raise anything
            raise study_error(path, error) from None
        if not write:  # for writes, Optuna decides by the type of an error whether to retry
            raise_study_errors(storage.engine, path)
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
        """Convert an error of the driver to a StudyError."""
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
        """Return device and inode of the file, as SQLite would continue to write into a deleted file."""
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
        """Copy the file into the folder `backups` next to it."""
        back_up(self.path)

    def release(self, writer: sqlalchemy.Engine) -> None:
        """Move the content of the write-ahead log into the file, so that the file alone can be copied.

        The log stays next to the file if this is not possible, as on a full disk or while another program locks it.
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
    """Open a connection for a `Reader`. A module-level function, so that the storage can be pickled."""
    if write:  # mode=rw does not create a file
        uri = f"file:{path}?mode=rw"
        return decode_any_text(sqlite3.connect(uri, READER_TIMEOUT_S, uri=True, check_same_thread=False))
    return connect_to_read(path, READER_TIMEOUT_S, check_same_thread=False)


def _check_is_optunas(path: Path) -> None:
    """Raise StudyError if the file has tables that are not Optuna's, before anything is written into it."""
    with closing(connect_to_read(path, BUSY_TIMEOUT_S)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "version_info" not in tables:
        raise StudyError(f"{path}: is another program's database; choose another --studies or --storage")


def _create_complete(path: Path) -> None:
    """Create the file with the complete schema under a temporary name, and rename it.

    Otherwise a process that opens it in between would create the tables too and fail. The write-ahead log is enabled
    before the rename, as a process that is killed while it enables the log would leave a journal behind.
    """
    fresh = path.with_name(f".{path.name}.new")
    _remove(fresh)
    try:
        _create_schema(fresh)
        _set_logs_aside(path)
        rename_durably(fresh, path)
    finally:
        _remove(fresh)


def _set_logs_aside(path: Path) -> None:
    """Rename the logs of a deleted database, as SQLite would apply them to the new one."""
    for suffix in ("-journal", "-wal", "-shm"):
        log = path.with_name(path.name + suffix)
        if log.exists():
            log.rename(log.with_name(f"{log.name}.left-{time.time_ns()}"))


def _remove(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _create_schema(path: Path) -> None:
    """Create Optuna's tables and sweep's trigger where they are missing, and enable the write-ahead log."""
    engine = RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": BUSY_TIMEOUT_S}}).engine
    with engine.connect() as connection:
        connection.exec_driver_sql(FINISHED_STAYS)
        connection.commit()
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")  # last, so that the log of a new file is empty
    engine.dispose()
