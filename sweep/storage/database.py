"""URLs, SQLite settings, study names, and reading.

`studies/sweep.db` is one SQLite file for all studies, in write-ahead-log mode, so readers are never blocked. Readers
open it with `mode=ro`: they cannot write by mistake.
"""

import fcntl
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from optuna.storages._rdb import models  # Optuna's schema itself: copied tables would drift
from optuna.trial import TrialState
from sqlalchemy.engine import make_url

from sweep.errors import StudyError
from sweep.search_space import STUDY_NAME

BUSY_TIMEOUT_S = 1  # a wait inside SQLite hides signals; longer waits are retried by the writer
READER_TIMEOUT_S = 30
UNUSABLE = (sqlite3.DatabaseError, sqlalchemy.exc.DatabaseError, optuna.exceptions.OptunaError, RuntimeError)


def check_study_name(name: str) -> str:
    """The name, or StudyError: a study name is a name and never a path."""
    if not re.fullmatch(STUDY_NAME, name):
        raise StudyError(
            f'study name "{name}": use letters, digits, ".", "_" and "-", at most 100, beginning with a letter or digit'
        )
    return name


def database_url(studies: Path, storage: str | None = None) -> str:
    """The SQLAlchemy URL: `storage`, or sweep.db in the folder `studies`. StudyError for what is not supported."""
    if storage is None:
        return _sqlite_url(studies / "sweep.db")
    try:
        url = make_url(storage)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise StudyError("--storage: not a database URL; use sqlite:///folder/sweep.db") from None
    plain = url.drivername in ("sqlite", "sqlite+pysqlite") and not (url.host or url.username or url.query)
    if not plain or not url.database or url.database == ":memory:":
        raise StudyError(f"--storage: {url.drivername} as given is not supported; use sqlite:///folder/sweep.db")
    return _sqlite_url(Path(url.database))


def _sqlite_url(path: Path) -> str:
    path = path.expanduser().resolve()
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
        with _schema_lock(path):
            if not path.exists():
                _create_complete(path)
            _check_is_optunas(path)
            _create_schema(path)
    except OSError as error:
        raise StudyError(f"{path}: cannot be written ({error.strerror}); choose another --studies") from None
    except UNUSABLE as error:
        raise StudyError(f"{path}: not usable as a study database: {_first_line(error)}") from None


def _check_is_optunas(path: Path) -> None:
    """StudyError for a file with tables that are not Optuna's, before anything is written into it."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "version_info" not in tables:
        raise StudyError(f"{path}: is another program's database; choose another --studies or --storage")


def _create_complete(path: Path) -> None:
    """Appear under the name with the whole schema: whoever opens it meanwhile would create tables too, and collide."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    _create_schema(fresh)
    with suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()


def _create_schema(path: Path) -> None:
    """Optuna's tables where they are missing, and the write-ahead log."""
    engine = RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": READER_TIMEOUT_S}}).engine
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
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
    """Optuna's storage on an existing database, read-only unless `write`. StudyError if there is none."""
    path = database_path(url)
    if not path.is_file():
        raise StudyError(f"{path}: no studies yet; `sweep run SPACE` makes one, --studies DIR looks elsewhere")
    options = {"connect_args": {"timeout": READER_TIMEOUT_S}, **engine_options}
    mode = "rw" if write else "ro"  # neither creates a file
    place = f"sqlite:///file:{path}?mode={mode}&uri=true"
    try:
        _check_is_optunas(path)
        return RDBStorage(place, engine_kwargs=options, skip_table_creation=True)
    except UNUSABLE as error:
        raise StudyError(f"{path}: not readable as a study database: {_first_line(error)}") from None


def read_study(url: str, name: str) -> optuna.Study:
    """A study to read. StudyError, with the names there are, if it does not exist."""
    storage = connect_reader(url)
    try:
        storage.get_study_id_from_name(check_study_name(name))
    except KeyError:
        names = ", ".join(study.study_name for study in storage.get_all_studies()) or "none"
        raise StudyError(f"no study named {name}; there are: {names}") from None
    study = optuna.load_study(study_name=name, storage=storage)
    if len(study.directions) > 1:
        raise StudyError(f"study {name} has {len(study.directions)} objectives; sweep shows studies of one")
    return study


@dataclass
class StudySummary:
    """One line of `sweep list`."""

    name: str
    direction: str
    num_trials: Counter[str] = field(default_factory=Counter)  # state -> trials
    best_value: float | None = None
    last_activity: datetime | None = None


def list_studies(url: str) -> list[StudySummary]:
    """Every study with counts, best value and time of the last change, read by three queries."""
    engine = connect_reader(url).engine
    studies, directions = models.StudyModel.__table__.c, models.StudyDirectionModel.__table__.c
    query = sqlalchemy.select(studies.study_id, studies.study_name, directions.direction).join(
        models.StudyDirectionModel.__table__, directions.study_id == studies.study_id
    )
    with engine.connect() as connection:
        rows = connection.execute(query.where(directions.objective == 0).order_by(studies.study_id))
        summaries = {row.study_id: StudySummary(row.study_name, row.direction.name.lower()) for row in rows}
        for study_id, state, count, last in connection.execute(_counts_query()):
            summary = summaries[study_id]
            summary.num_trials[state.name] = count
            summary.last_activity = max(filter(None, (summary.last_activity, last)), default=None)
        for study_id, low, high in connection.execute(_values_query()):
            summaries[study_id].best_value = high if summaries[study_id].direction == "maximize" else low
    return list(summaries.values())


def _counts_query() -> Any:
    trials = models.TrialModel.__table__.c
    last = sqlalchemy.func.max(sqlalchemy.func.coalesce(trials.datetime_complete, trials.datetime_start))
    count = sqlalchemy.func.count()
    typed = sqlalchemy.type_coerce(last, sqlalchemy.DateTime())
    return sqlalchemy.select(trials.study_id, trials.state, count, typed).group_by(trials.study_id, trials.state)


def _values_query() -> Any:
    trials, values = models.TrialModel.__table__.c, models.TrialValueModel.__table__
    low, high = sqlalchemy.func.min(values.c.value), sqlalchemy.func.max(values.c.value)
    joined = sqlalchemy.select(trials.study_id, low, high).join(values, values.c.trial_id == trials.trial_id)
    return joined.where(trials.state == TrialState.COMPLETE).group_by(trials.study_id)


@contextmanager
def _schema_lock(path: Path) -> Iterator[None]:
    """Two processes creating the schema at once would collide."""
    with open(path.with_name(f".{path.name}.creating"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _first_line(error: Exception) -> str:
    cause = error.__cause__ or error
    return str(getattr(cause, "orig", cause)).strip().splitlines()[0]
