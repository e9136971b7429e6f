"""Write one study by transactions, and detect a database that was replaced, restored or disconnected in between."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any
from uuid import uuid4

import sqlalchemy

from sweep.errors import StudyError
from sweep.storage import rows
from sweep.storage.backend import Backend
from sweep.storage.pending_rows import PendingRows
from sweep.storage.waiting import WAIT, Result, Wait, retry

MARK = "sweep:transaction"  # system attribute of a study: id of the sweep's last transaction
STALE_DATABASE = (
    "the database is older than what was reported (a backup was restored, or a replica that lagged behind took over), "
    "or another sweep has written it; run the same command to resume"
)


class StudyWriter:
    """Write a study. Use it within `driver_errors_converted`.

    Args:
        backend: The database.
        name: Name of the study.
        study_row: Row id of the study.
        mark: Id of the transaction that the study in memory is based on; None if sweep has not written it yet.
    """

    def __init__(self, backend: Backend, name: str, study_row: int, mark: str | None) -> None:
        self._backend, self._name, self._study_row = backend, name, study_row
        self._engine = backend.connect_writer(name)
        self._identity = backend.identity()
        self._mark = mark
        self._process = os.getpid()
        self._looked: tuple[int, Sequence[int], list[Any]] = (0, (), [])

    def begin(self) -> sqlalchemy.Connection:
        """Begin a transaction during which no other program changes the study.

        Returns:
            The transaction's connection.

        Raises:
            StudyError: The study is not as the sweep's last transaction left it, so that the changes in memory, which
                are based on that transaction, cannot be written.
        """
        connection, mark = self._begin()
        if mark != self._mark:
            connection.close()
            raise StudyError(f"{self._backend.name}: study {self._name}: {STALE_DATABASE}")
        return connection

    def look(self, connection: sqlalchemy.Connection, last_row: int, open_rows: Sequence[int]) -> tuple[list[Any], int]:
        """Select the trials that other programs may have changed.

        Args:
            connection: The transaction's connection.
            last_row: Trials with a row id above this one are selected.
            open_rows: Row ids of further trials to select.

        Returns:
            Rows of (trial_id, state as text), and the number of all trials.
        """
        found = [*rows.select_trials(connection, self._study_row, last_row, open_rows)]
        count = rows.count_trials(connection, self._study_row)
        self._looked = last_row, open_rows, [*map(tuple, found), count]
        return found, count

    def write(
        self, connection: sqlalchemy.Connection, pending: PendingRows, row_ids: dict[int, int], wait: Wait
    ) -> None:
        """Write and commit. If the connection is lost, find out whether it was committed, and retry if not.

        Args:
            connection: The transaction's connection.
            pending: What to write.
            row_ids: Row ids by trial number; those of new trials are added.
            wait: How to wait for an unreachable database.

        Raises:
            StudyError: Other programs changed the study while the database was unreachable.
        """
        mark = uuid4().hex
        pending.add_attr(rows.STUDY_SYSTEM_ATTRS, None, MARK, json.dumps(mark))
        try:
            pending.write(connection, self._study_row, row_ids)
            connection.commit()
        except self._backend.driver_errors as error:
            if not self._backend.is_connection_lost(error):
                raise
            retry_while_locked(lambda: self._write_again(pending, row_ids, mark), self._backend, wait)
        self._mark = mark

    def close(self) -> None:
        """Close the connections; do nothing in a forked process, which does not own them."""
        if os.getpid() == self._process:
            self._backend.release(self._engine)

    def _begin(self) -> tuple[sqlalchemy.Connection, str | None]:
        """Begin a transaction. Return its connection and the mark of the last one.

        Raises:
            StudyError: The database was replaced, or the study deleted.
        """
        if os.getpid() != self._process:
            raise StudyError("a process that your code forked returned into the sweep; end it with os._exit")
        connection = begin(self._engine)
        try:
            if self._backend.identity() != self._identity:
                raise StudyError(
                    f"{self._backend.name} was removed or replaced while the sweep ran; nothing more is written into "
                    "it; run the same command to resume from its current content"
                )
            if rows.lock_study(connection, self._study_row) != self._name:
                raise StudyError(f"study {self._name} was deleted by another program; nothing more is written")
            stored = rows.select_study_attr(connection, self._study_row, MARK)
            return connection, None if stored is None else json.loads(stored)
        except BaseException:
            connection.close()
            raise

    def _write_again(self, pending: PendingRows, row_ids: dict[int, int], mark: str) -> None:
        """Write again, unless the transaction was committed and only the server's response was lost."""
        connection, stored = self._begin()
        with closing(connection):
            if stored == mark:
                return
            last_row, open_rows, before = self._looked
            found, count = self.look(connection, last_row, open_rows)
            if stored != self._mark:
                raise StudyError(f"{self._backend.name}: study {self._name}: {STALE_DATABASE}")
            if [*map(tuple, found), count] != before:
                raise StudyError(
                    "other programs changed the study while the database was unreachable; "
                    "run the same command to resume"
                )
            pending.write(connection, self._study_row, row_ids)
            connection.commit()


def retry_while_locked(action: Callable[[], Result], backend: Backend, wait: Wait = WAIT) -> Result:
    """Call `action`, and retry it while the database is locked or unreachable. Return its result."""
    return retry(action, backend.is_passing, wait, backend.why_waiting, backend.end_of_waiting)


@contextmanager
def driver_errors_converted(backend: Backend) -> Iterator[None]:
    """Convert errors of the driver in the body to a StudyError with the fix."""
    try:
        yield
    except backend.driver_errors as error:
        raise backend.error(error) from None


def begin(engine: sqlalchemy.Engine) -> sqlalchemy.Connection:
    """Return a new connection in which a transaction has begun."""
    connection = engine.connect()
    try:
        connection.begin()
    except BaseException:
        connection.close()
        raise
    return connection
