"""Store studies in a PostgreSQL database that a team shares, through psycopg 3. Its administrator makes the backups.

A writer's transaction locks the rows of the study and of its unfinished trials. Optuna locks the same rows before it
creates or finishes a trial, so it waits. A writer's connection holds an advisory lock of the study, which the server
releases with the connection, so that only one process writes a study, also after the server was unreachable.
"""

from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.engine import make_url

from sweep.errors import UNREADABLE, StudyError
from sweep.storage.damage import find_any_damage, find_damage
from sweep.storage.postgres.errors import (
    DRIVER_ERRORS,
    is_connection_lost,
    is_damage,
    is_passing,
    postgres_error,
    raise_study_errors,
)
from sweep.storage.postgres.lock import ServerLock, session_name, take
from sweep.storage.reader import Reader
from sweep.text import mask_passwords

CONNECT_TIMEOUT_S = 10
# otherwise a host that lost its power would hold its locks for hours
ALIVE = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
FINISHED_STAYS = (  # as on SQLite, a finished trial cannot be overwritten
    """
CREATE OR REPLACE FUNCTION sweep_finished_trials_stay() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the trial is finished' USING ERRCODE = 'integrity_constraint_violation'; END $$
""",
    """
CREATE OR REPLACE TRIGGER sweep_finished_trials_stay BEFORE UPDATE OF state ON trials FOR EACH ROW
WHEN (OLD.state IN ('COMPLETE', 'PRUNED', 'FAIL')) EXECUTE FUNCTION sweep_finished_trials_stay()
""",
)
_HAS_TRIGGER = "SELECT count(*) FROM pg_trigger WHERE tgname = 'sweep_finished_trials_stay'"
_CREATING = 4_716_281_003  # key of an advisory lock


class PostgresBackend:
    """A PostgreSQL server; implements the `Backend` protocol."""

    driver_errors: tuple[type[Exception], ...] = DRIVER_ERRORS
    why_waiting, end_of_waiting = "the database server is unreachable", "the database server is reachable again"

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self.name = mask_passwords(self._url.render_as_string(hide_password=True))

    def create(self) -> None:
        """Create Optuna's schema and sweep's trigger where they are missing; concurrent processes take turns."""
        engine = self._engine("sweep")
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"SELECT pg_advisory_lock({_CREATING})")
                connection.commit()  # the lock belongs to the session, not to the transaction
                Reader(self._driver_url(), engine_kwargs={"poolclass": sqlalchemy.pool.NullPool})
                if not connection.exec_driver_sql(_HAS_TRIGGER).scalar_one():
                    for statement in FINISHED_STAYS:
                        connection.exec_driver_sql(statement)
                connection.commit()
        except Exception as error:  # Optuna raises RuntimeError for an older or newer schema
            raise self.error(error) from None
        finally:
            engine.dispose()

    def check(self) -> None:
        """Raise StudyError if the server cannot be reached, or has no studies."""
        self.connect_reader().engine.dispose()

    def connect_writer(self, study_name: str | None = None) -> sqlalchemy.Engine:
        """Return an engine with a single connection, which holds the study's lock."""
        engine = self._engine(session_name(), pool_size=1, max_overflow=0)
        if study_name is not None:

            @sqlalchemy.event.listens_for(engine, "connect")
            def _on_connect(connection: Any, _: Any) -> None:
                take(connection, study_name, "writer")

        @sqlalchemy.event.listens_for(engine, "begin")
        def _on_begin(connection: sqlalchemy.Connection) -> None:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = on")  # so that a commit is durable

        return engine

    def connect_reader(self, *, write: bool = False, **engine_options: Any) -> Reader:
        """Open Optuna's storage. The server rejects writes of a read-only one."""
        read_only = "" if write else "-c default_transaction_read_only=on"
        arguments = self._connect_args("sweep", read_only)
        options = {"poolclass": sqlalchemy.pool.NullPool, **engine_options, "connect_args": arguments}
        try:
            storage = Reader(self._driver_url(), engine_kwargs=options, skip_table_creation=True)
        except Exception as error:
            raise self.error(error) from None
        if not write:
            raise_study_errors(storage.engine, self.name)
        return storage

    def row_problem(self, study_name: str | None, *, ends_only: bool) -> str | None:
        """Check the rows in one snapshot."""
        return self._look(lambda database: find_any_damage(database, study_name, ends_only=ends_only))

    def row_problem_after(self, study_id: int, row: int) -> str | None:
        """Check the rows in one snapshot."""
        return self._look(lambda database: find_damage(database, study_id, after_row=row))

    def damaged(self, problem: str) -> StudyError:
        """Return the error, which refers to the server's backups."""
        advice = "keep a dump of it as it is (pg_dump), then restore it from the server's backups"
        return StudyError(f"{self.name}: not usable as a study database: {problem}; {advice}")

    def unreadable(self, said: str) -> StudyError:
        """Return `damaged` only if a check confirms it."""
        problem = self.row_problem(None, ends_only=False)
        return self.damaged(problem) if problem else StudyError(f"{self.name}: {UNREADABLE.format(said=said)}")

    def error(self, error: BaseException) -> StudyError:
        """Convert an error of the driver to a StudyError."""
        return postgres_error(self.name, error)

    def is_damage(self, error: BaseException) -> bool:
        """Return whether the content, and not the server, caused the error."""
        return is_damage(error)

    def is_passing(self, error: BaseException) -> bool:
        """Return whether the server is restarting, or has no free connection."""
        return is_passing(error)

    def is_connection_lost(self, error: BaseException) -> bool:
        """Return whether a commit may have succeeded in spite of the error."""
        return is_connection_lost(error)

    def identity(self) -> object:
        """Return a constant: a server is not replaced while the connection is open."""
        return None

    def lock(self, study_name: str) -> ServerLock:
        """Lock the study on the server."""
        return ServerLock(self._psycopg, study_name)

    def back_up(self) -> None:
        """Do nothing: the server's administrator makes the backups."""

    def release(self, writer: sqlalchemy.Engine) -> None:
        """Close the connection, which releases its lock."""
        writer.dispose()

    def _look(self, find: Any) -> str | None:
        try:
            with self._psycopg("sweep") as connection:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                connection.read_only = True
                problem: str | None = find(_QuestionMarks(connection))
                return problem
        except psycopg.Error as error:
            raise self.error(error) from None

    def _engine(self, name: str, **options: Any) -> sqlalchemy.Engine:
        return sqlalchemy.create_engine(self._url, connect_args=self._connect_args(name), **options)

    def _psycopg(self, name: str) -> "psycopg.Connection[Any]":
        """Open a connection without SQLAlchemy; the server shows `name` for it."""
        url = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(url, **self._connect_args(name))

    def _connect_args(self, name: str, options: str = "") -> dict[str, Any]:
        given = str(self._url.query.get("options", ""))
        options = " ".join(filter(None, (given, ALIVE, options)))
        return {"application_name": name, "connect_timeout": CONNECT_TIMEOUT_S, "options": options}

    def _driver_url(self) -> str:
        return self._url.render_as_string(hide_password=False)


class _QuestionMarks:
    """Adapt psycopg's parameters (%s) to the `damage.Database` protocol."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def execute(self, query: str, parameters: tuple[Any, ...], /) -> Any:
        """Return the rows of a query."""
        return self._connection.execute(query.replace("?", "%s").encode(), parameters)
