"""Parse the URLs of databases, and call the `Backend` of a URL."""

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.engine import make_url

from sweep.errors import StudyError
from sweep.storage.backend import Backend, Lock
from sweep.storage.reader import Reader
from sweep.storage.sqlite.backend import SqliteBackend
from sweep.text import mask_passwords

SQLITE = ("sqlite", "sqlite+pysqlite")
POSTGRES = ("postgresql", "postgresql+psycopg")
WHAT_TO_USE = "use sqlite:///folder/sweep.db or postgresql+psycopg://user@host/database"


def database_url(studies: Path, storage: str | None = None, flag: str = "--storage") -> str:
    """Return the SQLAlchemy URL of the database.

    Args:
        studies: Folder of the default database `sweep.db`.
        storage: URL from the command line; None for SWEEP_STORAGE if it is set, else the default.
        flag: Name of the option, for messages.

    Returns:
        The URL, with the driver that sweep uses.

    Raises:
        StudyError: The URL is not supported, or `storage` contains a password, which other users could read.
    """
    given = storage or os.environ.get("SWEEP_STORAGE")
    if not given:
        return _sqlite_url(studies / "sweep.db")
    origin = flag if storage else "SWEEP_STORAGE"
    if storage and mask_passwords(storage) != storage:
        raise StudyError(
            f"{flag}: every user of this machine can read a password in the command line; give the URL in the "
            "environment variable SWEEP_STORAGE, or the password in ~/.pgpass"
        )
    try:
        url = make_url(given)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise StudyError(f"{origin}: not a database URL; {WHAT_TO_USE}") from None
    if url.drivername in POSTGRES and url.database:
        return url.set(drivername=POSTGRES[-1]).render_as_string(hide_password=False)
    plain = url.drivername in SQLITE and not (url.host or url.username or url.query)
    if not plain or not url.database or url.database == ":memory:":
        raise StudyError(f"{origin}: {url.drivername} as given is not supported; {WHAT_TO_USE}")
    return _sqlite_url(Path(url.database))


def _sqlite_url(path: Path) -> str:
    path = path.expanduser().resolve()
    if os.path.isdir(path):  # other errors of the system are reported when the file is opened
        raise StudyError(f"{path}: is a folder; pass a file in it, as in sqlite:///folder/sweep.db")
    if set(str(path)) & set("?#%"):
        raise StudyError(f"{path}: database URLs cannot contain ?, # or %; choose another --studies")
    return f"sqlite:///{path}"


def backend_of(url: str) -> Backend:
    """Return the backend of a URL as returned by `database_url`.

    Raises:
        StudyError: PostgreSQL's driver is not installed.
    """
    parsed = make_url(url)
    if parsed.drivername not in POSTGRES:
        return SqliteBackend(Path(str(parsed.database)))
    try:
        from sweep.storage.postgres.backend import PostgresBackend
    except ImportError:
        raise StudyError("PostgreSQL needs the package psycopg: pip install 'sweep[postgres]'") from None
    return PostgresBackend(url)


def create_database(url: str) -> None:
    """Create the file, Optuna's schema and the trigger that protects finished trials, where they are missing."""
    backend_of(url).create()


def connect_reader(url: str, *, write: bool = False, **engine_options: Any) -> Reader:
    """Open Optuna's storage on an existing database; see `Backend.connect_reader`."""
    return backend_of(url).connect_reader(write=write, **engine_options)


def study_lock(url: str, study_name: str) -> AbstractContextManager[Lock]:
    """Lock a study for this process, as a context manager; see `Backend.lock`."""
    return backend_of(url).lock(study_name)


def back_up(url: str) -> None:
    """Copy the whole database, unless backups are the responsibility of a server's administrator."""
    backend_of(url).back_up()
