"""Transactions that write one study, each all or nothing, whatever happens to the database meanwhile."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any
from uuid import uuid4

import sqlalchemy

from sweep.errors import StudyError
from sweep.storage import rows
from sweep.storage.backend import Backend
from sweep.storage.waiting import WAIT, Result, Wait, tried_again

MARK = "sweep:transaction"  # system attribute of a study: its last one, where a commit's answer may be lost


class StudyWriter:
    """Of the study `name` in row `study_row`. Use within `in_words`."""

    def __init__(self, backend: Backend, name: str, study_row: int) -> None:
        self._backend, self._name, self._study_row = backend, name, study_row
        self._engine = backend.connect_writer(name)
        self._identity = backend.identity()
        self._looked: tuple[int, Sequence[int], list[Any]] = (0, (), [])

    def begin(self) -> sqlalchemy.Connection:
        """A transaction that nobody else changes the study in. StudyError if it is not there any more."""
        connection = begin(self._engine)
        try:
            if self._backend.identity() != self._identity:
                name = self._backend.name
                raise StudyError(f"{name} was removed or replaced while the sweep ran; nothing more can be stored")
            if rows.lock_study(connection, self._study_row) != self._name:
                raise StudyError(f"study {self._name} was deleted by another program; nothing more is written")
        except BaseException:
            connection.close()
            raise
        return connection

    def look(self, connection: sqlalchemy.Connection, last_row: int, open_rows: Sequence[int]) -> tuple[list[Any], int]:
        """(trial_id, number, state) of the rows above `last_row` and of the named ones; how many trials there are."""
        found = [*rows.select_trials(connection, self._study_row, last_row, open_rows)]
        count = rows.count_trials(connection, self._study_row)
        self._looked = last_row, open_rows, [*map(tuple, found), count]
        return found, count

    def write(
        self, connection: sqlalchemy.Connection, pending: rows.PendingRows, row_ids: dict[int, int], wait: Wait
    ) -> None:
        """Write and commit. Where the connection is lost on the way, once more if need be."""
        mark = json.dumps(uuid4().hex)
        if self._backend.may_lose_answers:
            pending.add_attr(rows.STUDY_SYSTEM_ATTRS, None, MARK, mark)
        try:
            pending.write(connection, self._study_row, row_ids)
            connection.commit()
        except self._backend.driver_errors as error:
            if not self._backend.is_connection_lost(error):
                raise
            when_free(lambda: self._write_again(pending, row_ids, mark), self._backend, wait)

    def close(self) -> None:
        """Let go of the database."""
        self._backend.let_go(self._engine)

    def _write_again(self, pending: rows.PendingRows, row_ids: dict[int, int], mark: str) -> None:
        """Unless it was committed and only the answer was lost."""
        with closing(self.begin()) as connection:
            if rows.select_study_attr(connection, self._study_row, MARK) == mark:
                return
            last_row, open_rows, before = self._looked
            found, count = self.look(connection, last_row, open_rows)
            if [*map(tuple, found), count] != before:
                raise StudyError("others changed the study while the database was away; the same command goes on")
            pending.write(connection, self._study_row, row_ids)
            connection.commit()


def when_free(action: Callable[[], Result], backend: Backend, wait: Wait = WAIT) -> Result:
    """What `action` gives, tried again as long as the database is locked or away."""
    return tried_again(action, backend.is_passing, wait, backend.why_waiting, backend.end_of_waiting)


@contextmanager
def in_words(backend: Backend) -> Iterator[None]:
    """Whatever the driver raises in the body becomes a StudyError with the fix."""
    try:
        yield
    except backend.driver_errors as error:
        raise backend.error(error) from None


def begin(engine: sqlalchemy.Engine) -> sqlalchemy.Connection:
    """A connection in a transaction."""
    connection = engine.connect()
    try:
        connection.begin()
    except BaseException:
        connection.close()
        raise
    return connection
