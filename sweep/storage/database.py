"""URLs, SQLite settings, study names: a database made, and opened.

`studies/sweep.db` is one SQLite file for all studies, in write-ahead-log mode, so readers are never blocked. Readers
open it with `mode=ro`: they cannot write by mistake.
"""

import os
import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url

from sweep.config import STUDY_NAME
from sweep.errors import StudyError, SweepError
from sweep.masking import mask_passwords
from sweep.storage.backup import damaged
from sweep.storage.database_errors import BUSY_TIMEOUT_S, speak_plainly, study_error, when_unlocked
from sweep.storage.files import held, uri_to_read
from sweep.storage.integrity import file_problem
from sweep.storage.reader import Reader

READER_TIMEOUT_S = 30
# Optuna tells in two steps, a look at the state and the writing, outside of one transaction: a trial that was told in
# between would be told over. It takes the refusal for a race that it lost.
FINISHED_STAYS = """
CREATE TRIGGER IF NOT EXISTS sweep_finished_trials_stay BEFORE UPDATE OF state ON trials
WHEN OLD.state IN ('COMPLETE', 'PRUNED', 'FAIL') BEGIN SELECT RAISE(ABORT, 'the trial is finished'); END
"""


def check_study_name(name: str) -> str:
    """The name, or StudyError: a study name is a name and never a path."""
    if not re.fullmatch(STUDY_NAME, name):
        raise StudyError(
            f'study name "{name}": use letters, digits, ".", "_" and "-", at most 100, beginning with a letter or digit'
        )
    return name


def database_url(studies: Path, storage: str | None = None) -> str:
    """The SQLAlchemy URL: `storage`, else that of SWEEP_STORAGE, else sweep.db in the folder `studies`.

    StudyError for what is not supported, and for a password in `storage`, which comes from the command line.
    """
    given = storage or os.environ.get("SWEEP_STORAGE")
    if not given:
        return _sqlite_url(studies / "sweep.db")
    origin = "--storage" if storage else "SWEEP_STORAGE"
    if storage and mask_passwords(storage) != storage:
        raise StudyError(
            "--storage: every user of this machine can read a password in the command line; give the URL in the "
            "environment variable SWEEP_STORAGE, or the password in ~/.pgpass"
        )
    try:
        url = make_url(given)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise StudyError(f"{origin}: not a database URL; use sqlite:///folder/sweep.db") from None
    plain = url.drivername in ("sqlite", "sqlite+pysqlite") and not (url.host or url.username or url.query)
    if not plain or not url.database or url.database == ":memory:":
        raise StudyError(f"{origin}: {url.drivername} as given is not supported; use sqlite:///folder/sweep.db")
    return _sqlite_url(Path(url.database))


def _sqlite_url(path: Path) -> str:
    path = path.expanduser().resolve()
    if path.is_dir():
        raise StudyError(f"{path}: is a folder; name a file in it, as in sqlite:///folder/sweep.db")
    if set(str(path)) & set("?#%"):
        raise StudyError(f"{path}: database URLs cannot hold ?, # or %; choose another --studies")
    return f"sqlite:///{path}"


def database_path(url: str) -> Path:
    """The SQLite file behind a URL of `database_url`."""
    return Path(str(make_url(url).database))


def create_database(url: str) -> None:
    """Make the file, Optuna's schema (or migrate nothing: an older schema is an error) and the write-ahead log."""
    path = database_path(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with held(path.with_name(f".{path.name}.creating")):  # two processes creating the schema would collide
            if not path.exists():
                _create_complete(path)
            check_file(url)
            when_unlocked(lambda: _check_is_optunas(path))
            when_unlocked(lambda: _create_schema(path, journal_mode="WAL"))
    except SweepError:
        raise
    except Exception as error:  # damaged tables may raise anything
        raise study_error(path, error) from None


def check_file(url: str) -> None:
    """StudyError if there is none, or, with the newest good backup, if it is damaged as a whole."""
    path = _existing_path(url)
    problem = file_problem(path)
    if problem is not None:
        raise damaged(path, problem)


def _check_is_optunas(path: Path) -> None:
    """StudyError for a file with tables that are not Optuna's, before anything is written into it."""
    with closing(sqlite3.connect(uri_to_read(path), BUSY_TIMEOUT_S, uri=True)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "version_info" not in tables:
        raise StudyError(f"{path}: is another program's database; choose another --studies or --storage")


def _create_complete(path: Path) -> None:
    """Appear under the name with the whole schema: whoever opens it meanwhile would create tables too, and collide."""
    fresh = path.with_name(f".{path.name}.new")
    _remove(fresh)
    try:
        _create_schema(fresh, journal_mode="DELETE")  # one file, whole once the last transaction is
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        _remove(fresh)


def _remove(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _create_schema(path: Path, journal_mode: str) -> None:
    """Optuna's tables and our trigger where they are missing, and the way that SQLite keeps its journal."""
    engine = RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": BUSY_TIMEOUT_S}}).engine
    with engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA journal_mode={journal_mode}")
        connection.exec_driver_sql(FINISHED_STAYS)
        connection.commit()
    engine.dispose()


def connect_writer(url: str) -> sqlalchemy.Engine:
    """An engine whose transactions take SQLite's write lock at BEGIN: what one checks still holds when it writes."""
    engine = sqlalchemy.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})

    @sqlalchemy.event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver shall not begin by itself
        connection.execute("PRAGMA synchronous=FULL")  # what is told survives a power cut too

    @sqlalchemy.event.listens_for(engine, "begin")
    def _on_begin(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def connect_reader(url: str, *, write: bool = False, **engine_options: Any) -> RDBStorage:
    """Optuna's storage on an existing database, read-only unless `write`. StudyError if there is none.

    Waits while another program has locked it against readers too; a read-only one raises nothing but StudyError later.
    """
    path = _existing_path(url)
    options = {"connect_args": {"timeout": READER_TIMEOUT_S}, **engine_options}
    uri = f"file:{path}?mode=rw" if write else uri_to_read(path)  # neither creates a file
    try:
        when_unlocked(lambda: _check_is_optunas(path))
        storage = Reader(f"sqlite:///{uri}&uri=true", engine_kwargs=options, skip_table_creation=True)
    except SweepError:
        raise
    except Exception as error:  # damaged tables may raise anything
        raise study_error(path, error) from None
    if not write:  # one that writes is Optuna's own affair, with repetitions that look at the kind of error
        speak_plainly(storage.engine, path)
    return storage


def _existing_path(url: str) -> Path:
    path = database_path(url)
    if not path.exists():
        raise StudyError(f"{path}: no studies yet; `sweep run SPACE` makes one, --studies DIR looks elsewhere")
    if not path.is_file():
        raise StudyError(f"{path}: is not a file; choose another --studies or --storage")
    return path
