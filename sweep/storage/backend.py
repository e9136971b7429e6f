"""What differs between the databases that hold studies: a SQLite file, a PostgreSQL server."""

from contextlib import AbstractContextManager
from typing import Any, Protocol

import sqlalchemy

from sweep.errors import StudyError
from sweep.storage.reader import Reader


class Lock(Protocol):
    """Held while one launcher sweeps a study."""

    ended_in_order: bool  # the owner before


class Backend(Protocol):
    """A database. Errors that a user can mend are StudyErrors of one line."""

    name: str  # for a user, without a password
    driver_errors: tuple[type[Exception], ...]
    why_waiting: str
    end_of_waiting: str

    def create(self) -> None:
        """Make what is missing of Optuna's schema, and our trigger."""

    def check(self) -> None:
        """Raise StudyError if there is no database, or if it is damaged as a whole."""

    def connect_writer(self, study_name: str | None = None) -> sqlalchemy.Engine:
        """Return an engine whose transactions exclude changes to the study by other programs until they end."""

    def connect_reader(self, *, write: bool = False, **engine_options: Any) -> Reader:
        """Open Optuna's storage on an existing database.

        Args:
            write: Whether it may write; else it is read-only.
            engine_options: Arguments of `sqlalchemy.create_engine`.

        Raises:
            StudyError: There is no such database.
        """

    def row_problem(self, study_name: str | None, *, ends_only: bool) -> str | None:
        """Describe a study or trial that was changed since the sweep wrote it; None if there is none.

        Args:
            study_name: Name of a study; None for all.
            ends_only: Whether only states and values are compared.
        """

    def row_problem_after(self, study_id: int, row: int) -> str | None:
        """Return the trial with a row id above `row`, or the study, that another program has changed."""

    def damaged(self, problem: str) -> StudyError:
        """Return the error for a damaged database: the problem and how to repair it."""

    def unreadable(self, said: str) -> StudyError:
        """Return an error for content that Optuna cannot read: `damaged` only if a check confirms it."""

    def error(self, error: BaseException) -> StudyError:
        """Return an error of the driver as a StudyError."""

    def is_damage(self, error: BaseException) -> bool:
        """Return whether an error while reading is caused by damaged content."""

    def is_passing(self, error: BaseException) -> bool:
        """Return whether the same action may succeed if it is retried later."""

    def is_connection_lost(self, error: BaseException) -> bool:
        """Return whether the connection was lost, so that it is unknown whether the transaction was committed."""

    def identity(self) -> object:
        """Return a value that changes when the database is replaced by another one."""

    def lock(self, study_name: str) -> AbstractContextManager[Lock]:
        """Lock the study for this launcher. Raise StudyError, with the owner, while another launcher has locked it."""

    def back_up(self) -> None:
        """Keep a copy of everything, where that is ours to do."""

    def release(self, writer: sqlalchemy.Engine) -> None:
        """Dispose of a writer that is no longer needed."""
