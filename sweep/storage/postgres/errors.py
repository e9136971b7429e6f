"""Convert errors of PostgreSQL to StudyErrors, and decide which of them are temporary."""

import psycopg
import sqlalchemy
from optuna.exceptions import StorageInternalError

from sweep.errors import StudyError
from sweep.storage.sqlite.errors import driver_message, innermost

DRIVER_ERRORS = (psycopg.Error, sqlalchemy.exc.DBAPIError, StorageInternalError)
SERVER_ENDS = ("57P01", "57P02", "57P03", "57P05")  # admin_shutdown, crash_shutdown, cannot_connect_now, idle timeout
RETRYABLE = ("53300", "40001", "40P01", "55P03")  # too_many_connections, serialization, deadlock, lock
CONNECTION_ADVICE = {  # advice by the message of libpq for a failed connection, which has no SQLSTATE
    "password authentication failed": "the password is wrong; correct SWEEP_STORAGE or ~/.pgpass",
    "no password supplied": "a password is required; put the URL with it into SWEEP_STORAGE, or it into ~/.pgpass",
    "does not exist": "create it on the server, or correct the URL",
    "could not translate host name": "correct the host in the URL",
    "failed to resolve host": "correct the host in the URL",
    "Name or service not known": "correct the host in the URL",  # psycopg before 3.3
    "no pg_hba.conf entry": "the server does not accept connections from this host; its administrator can allow them",
}
BY_CODE = {
    "42501": "this user lacks the privilege; the owner of the database can grant it",
    "25006": "the database is read-only now; connect to the primary server",
    "53100": "the server's disk is full; free some space, then run the same command to resume",
    "42P01": "no studies yet; `sweep run SPACE` creates the tables",
}


def postgres_error(name: str, error: BaseException) -> StudyError:
    """Convert an error of psycopg, possibly wrapped by SQLAlchemy or Optuna, to a StudyError."""
    said, code = driver_message(error), _code(error)
    advice = BY_CODE.get(code or "") or next((fix for text, fix in CONNECTION_ADVICE.items() if text in said), None)
    if advice is None and is_connection_lost(error):
        advice = "the server cannot be reached; start it, or correct the URL, then run the same command to resume"
    return StudyError(f"{name}: {advice or 'not usable as a study database'} ({said})")


def is_connection_lost(error: BaseException) -> bool:
    """Return whether the connection was lost, so that it is unknown whether a commit succeeded."""
    inner = innermost(error)
    has_no_code = isinstance(inner, (psycopg.OperationalError, psycopg.InterfaceError)) and not inner.sqlstate
    return has_no_code or _code(error) in SERVER_ENDS or (_code(error) or "").startswith("08")


def is_passing(error: BaseException) -> bool:
    """Return whether the same action may succeed later."""
    is_final = any(text in driver_message(error) for text in CONNECTION_ADVICE)
    return _code(error) in RETRYABLE or (is_connection_lost(error) and not is_final)


def is_damage(error: BaseException) -> bool:
    """Return whether an error while reading is caused by damaged content, not by the server."""
    return not isinstance(innermost(error), psycopg.Error)


def raise_study_errors(engine: sqlalchemy.Engine, name: str) -> None:
    """Convert errors of this engine to StudyError, also below Optuna, which would wrap SQLAlchemy's."""

    @sqlalchemy.event.listens_for(engine, "handle_error")
    def _on_error(context: sqlalchemy.engine.ExceptionContext) -> None:
        if isinstance(context.original_exception, psycopg.Error):
            raise postgres_error(name, context.original_exception) from None


def _code(error: BaseException) -> str | None:
    """Return the SQLSTATE of an error; None if it has none."""
    return getattr(innermost(error), "sqlstate", None)
