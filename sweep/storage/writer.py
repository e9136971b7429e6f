"""Transactions that write one study, each all or nothing, whatever happens to the database meanwhile."""

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
from sweep.storage.waiting import WAIT, Result, Wait, tried_again

MARK = "sweep:transaction"  # system attribute of a study: the last transaction that wrote it
SET_BACK = (
    "the database is older than what was reported (a backup was put back, or a replica that lagged behind took over), "
    "or another sweep has written it; run the same command to resume"
)


class StudyWriter:
    """Of the study `name` in row `study_row`, as the transaction `mark` left it. Use within `in_words`."""

    def __init__(self, backend: Backend, name: str, study_row: int, mark: str | None) -> None:
        self._backend, self._name, self._study_row = backend, name, study_row
        self._engine = backend.connect_writer(name)
        self._identity = backend.identity()
        self._mark = mark
        self._process = os.getpid()
        self._looked: tuple[int, Sequence[int], list[Any]] = (0, (), [])

    def begin(self) -> sqlalchemy.Connection:
        """Begin a transaction during which nobody else changes the study.

        What is in memory follows from the sweep's last transaction: written on top of another state it would be wrong.

        Raises:
            StudyError: The study is not as the last transaction left it.
        """
        connection, mark = self._begin()
        if mark != self._mark:
            connection.close()
            raise StudyError(f"{self._backend.name}: study {self._name}: {SET_BACK}")
        return connection

    def look(self, connection: sqlalchemy.Connection, last_row: int, open_rows: Sequence[int]) -> tuple[list[Any], int]:
        """Return (trial_id, state as text) of rows above `last_row` and of named ones; and the number of trials."""
        found = [*rows.select_trials(connection, self._study_row, last_row, open_rows)]
        count = rows.count_trials(connection, self._study_row)
        self._looked = last_row, open_rows, [*map(tuple, found), count]
        return found, count

    def write(
        self, connection: sqlalchemy.Connection, pending: PendingRows, row_ids: dict[int, int], wait: Wait
    ) -> None:
        """Write and commit. Where the connection is lost on the way, once more if need be."""
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
        """Let go of the database. A forked process has no part in its connections."""
        if os.getpid() == self._process:
            self._backend.release(self._engine)

    def _begin(self) -> tuple[sqlalchemy.Connection, str | None]:
        """And the mark of the transaction before. StudyError if the study is not there any more."""
        if os.getpid() != self._process:
            raise StudyError("a process that your code forked returned into the sweep; end it with os._exit")
        connection = begin(self._engine)
        try:
            if self._backend.identity() != self._identity:
                raise StudyError(
                    f"{self._backend.name} was removed or replaced while the sweep ran; nothing more is written into "
                    "it; run the same command to resume from what is there now"
                )
            if rows.lock_study(connection, self._study_row) != self._name:
                raise StudyError(f"study {self._name} was deleted by another program; nothing more is written")
            stored = rows.select_study_attr(connection, self._study_row, MARK)
            return connection, None if stored is None else json.loads(stored)
        except BaseException:
            connection.close()
            raise

    def _write_again(self, pending: PendingRows, row_ids: dict[int, int], mark: str) -> None:
        """Unless it was committed and only the answer was lost."""
        connection, stored = self._begin()
        with closing(connection):
            if stored == mark:
                return
            last_row, open_rows, before = self._looked
            found, count = self.look(connection, last_row, open_rows)
            if stored != self._mark:
                raise StudyError(f"{self._backend.name}: study {self._name}: {SET_BACK}")
            if [*map(tuple, found), count] != before:
                raise StudyError(
                    "other programs changed the study while the database was away; run the same command to resume"
                )
            pending.write(connection, self._study_row, row_ids)
            connection.commit()


def retry_while_locked(action: Callable[[], Result], backend: Backend, wait: Wait = WAIT) -> Result:
    """Return the result of `action`, which is retried as long as the database is locked or unreachable."""
    return tried_again(action, backend.is_passing, wait, backend.why_waiting, backend.end_of_waiting)


@contextmanager
def in_words(backend: Backend) -> Iterator[None]:
    """Convert whatever the driver raises in the body to a StudyError with the fix."""
    try:
        yield
    except backend.driver_errors as error:
        raise backend.error(error) from None


def begin(engine: sqlalchemy.Engine) -> sqlalchemy.Connection:
    """Return a connection in a transaction."""
    connection = engine.connect()
    try:
        connection.begin()
    except BaseException:
        connection.close()
        raise
    return connection
