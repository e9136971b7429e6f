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
        """StudyError if there is none, or if it is damaged as a whole."""

    def connect_writer(self, study_name: str | None = None) -> sqlalchemy.Engine:
        """An engine whose transactions see no change of others to the study until they end."""

    def connect_reader(self, *, write: bool = False, **engine_options: Any) -> Reader:
        """Optuna's storage on an existing database, read-only unless `write`. StudyError if there is none."""

    def row_problem(self, study_name: str | None, *, ends_only: bool) -> str | None:
        """Which study or trial, of all studies or of one, has been changed since the sweep wrote it."""

    def row_problem_after(self, study_id: int, row: int) -> str | None:
        """Return the trial with a row id above `row`, or the study, that another program has changed."""

    def damaged(self, problem: str) -> StudyError:
        """What is wrong, and what helps."""

    def unreadable(self, said: str) -> StudyError:
        """Return an error for content that Optuna cannot read: `damaged` only if a check confirms it."""

    def error(self, error: BaseException) -> StudyError:
        """An error of the driver, in words."""

    def is_damage(self, error: BaseException) -> bool:
        """Whether an error while reading is the content's fault."""

    def is_passing(self, error: BaseException) -> bool:
        """Whether what is tried again later may succeed."""

    def is_connection_lost(self, error: BaseException) -> bool:
        """Whether nobody knows if the transaction that ended with it was written."""

    def identity(self) -> object:
        """What changes when the database is replaced by another one."""

    def lock(self, study_name: str) -> AbstractContextManager[Lock]:
        """StudyError, with its owner, while another launcher holds the study."""

    def back_up(self) -> None:
        """Keep a copy of everything, where that is ours to do."""

    def release(self, writer: sqlalchemy.Engine) -> None:
        """Of a writer that is not needed any more."""
