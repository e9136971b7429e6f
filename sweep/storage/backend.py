"""Define the protocol of a database that contains studies: a SQLite file or a PostgreSQL server."""

from contextlib import AbstractContextManager
from typing import Any, Protocol

import sqlalchemy

from sweep.errors import StudyError
from sweep.storage.reader import Reader


class Lock(Protocol):
    """A context manager that locks a study while one process sweeps it."""

    ended_in_order: bool  # whether the previous owner exited normally


class Backend(Protocol):
    """A database. Errors that a user can fix are raised as StudyErrors of one line.

    Attributes:
        name: The database in messages, without a password.
        driver_errors: The exceptions that the driver, SQLAlchemy and Optuna raise.
        why_waiting: Notice that is printed when a locked or unreachable database is waited for.
        end_of_waiting: Notice that is printed when the wait is over.
    """

    name: str
    driver_errors: tuple[type[Exception], ...]
    why_waiting: str
    end_of_waiting: str

    def create(self) -> None:
        """Create Optuna's schema and sweep's trigger where they are missing."""

    def check(self) -> None:
        """Raise StudyError if there is no database, or if it is damaged as a whole."""

    def connect_writer(self, study_name: str | None = None) -> sqlalchemy.Engine:
        """Return an engine whose transactions exclude changes to a study by other programs until they end.

        Args:
            study_name: Name of the study; None to create a new one.
        """

    def connect_reader(self, *, write: bool = False, **engine_options: Any) -> Reader:
        """Open Optuna's storage on an existing database.

        Args:
            write: Whether the storage may write; otherwise it is read-only.
            engine_options: Arguments of `sqlalchemy.create_engine`.

        Returns:
            The storage.

        Raises:
            StudyError: There is no such database.
        """

    def row_problem(self, study_name: str | None, *, ends_only: bool) -> str | None:
        """Find a study or trial that was changed since the sweep wrote it.

        Args:
            study_name: Name of a study; None for all.
            ends_only: Whether only states and values are compared.

        Returns:
            A description of the first one; None if there is none.
        """

    def row_problem_after(self, study_id: int, row: int) -> str | None:
        """Find a changed trial among the newer ones of a study.

        Args:
            study_id: Row id of the study, which is checked too.
            row: Only trials with a row id above this one are checked.

        Returns:
            A description of the first one; None if there is none.
        """

    def damaged(self, problem: str) -> StudyError:
        """Return the error for a damaged database: the problem and how to repair it."""

    def unreadable(self, said: str) -> StudyError:
        """Return the error for content that Optuna cannot read: `damaged` only if a check confirms it.

        Args:
            said: Optuna's message.
        """

    def error(self, error: BaseException) -> StudyError:
        """Convert an error of the driver to a StudyError."""

    def is_damage(self, error: BaseException) -> bool:
        """Return whether an error while reading is caused by damaged content."""

    def is_passing(self, error: BaseException) -> bool:
        """Return whether the same action may succeed if it is retried later."""

    def is_connection_lost(self, error: BaseException) -> bool:
        """Return whether the connection was lost, so that it is unknown whether the transaction was committed."""

    def identity(self) -> object:
        """Return a value that changes when the database is replaced by another one."""

    def lock(self, study_name: str) -> AbstractContextManager[Lock]:
        """Lock the study for this process.

        Raises:
            StudyError: Another process has locked it; the message names the process.
        """

    def back_up(self) -> None:
        """Copy the database, unless backups are the responsibility of a server's administrator."""

    def release(self, writer: sqlalchemy.Engine) -> None:
        """Dispose of a writer that is no longer needed."""
