"""An in-memory Optuna storage in front, transactions in Optuna's schema behind.

Samplers and pruners work in memory. Everything they and the tuner write is gathered and put into the database by one
transaction, at each ask and for each round of epochs. (Measured by others on Optuna's own path: 111-161 ms of CPU a
trial in the ORM; see benchmarks/ for ours.) A transaction first looks for what others wrote, and never overwrites it.

A `transaction` keeps other writers out while its body runs; a `draft`, for what takes long, only while it is written.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution

from sweep.storage.database import backend_of
from sweep.storage.foreign_changes import ForeignChange, ForeignChanges
from sweep.storage.pending_storage import PendingStorage
from sweep.storage.sealing import Sealing
from sweep.storage.studies import check_rows, reading
from sweep.storage.waiting import WAIT, Result, Wait
from sweep.storage.writer import MARK, StudyWriter, in_words, retry_while_locked


class ChangedMeanwhile(Exception):
    """Another program has written the study while a draft was made."""


class WriteBehindStorage(PendingStorage):
    """One study. Reads come from memory; writes outside a `transaction` or `draft` are an error of the program."""

    def __init__(self, url: str, study_name: str, distributions: Mapping[str, BaseDistribution] | None = None) -> None:
        """Load an existing study.

        Args:
            url: URL of the database.
            study_name: Name of the study.
            distributions: The study's own distributions by parameter. What other programs tried in addition is not
                shown to samplers.

        Raises:
            KeyError: There is no such study.
            StudyError: The study is damaged.

        """
        super().__init__(study_name)
        check_rows(url, study_name)
        self._backend = backend_of(url)
        self._reader = self._backend.connect_reader()
        self._study_row = self._reader.get_study_id_from_name(study_name)
        mark = self._reader.get_study_system_attrs(self._study_row).get(MARK)  # before the rest of it
        self._writer = StudyWriter(self._backend, study_name, self._study_row, mark)
        with reading(url):
            self.load(self._reader, self._study_row, distributions or {})
        self._sealing = Sealing(self)
        self._foreign = ForeignChanges(self, self._reader, self._writer, self._take_over)

    def row_id(self, number: int) -> int:
        """Return the trial's id in the database. Raise KeyError if it is not stored yet."""
        return self.row_ids[number]

    def is_ours(self, number: int) -> bool:
        """Return whether the sweep trains or has trained the trial; others may have set the same attributes."""
        return number in self.own_numbers

    def is_stored(self, number: int) -> bool:
        """Return whether the database has the trial; one that is new in this transaction is not there yet."""
        return number in self.row_ids

    def stored_system_attrs(self) -> dict[str, Any]:
        """Return the study's system attributes in the database, including what others wrote."""
        return self._reader.get_study_system_attrs(self._study_row)

    @contextmanager
    def transaction(self, wait: Wait = WAIT) -> Iterator[list[ForeignChange]]:
        """Look for what others wrote, run the body against memory, write what it did: all or nothing.

        `wait` says how to wait while another program holds the write lock. Raises StudyError if the study is gone,
        numbers collide, or the database cannot be written. After an exception in the body, or in writing, the memory
        is ahead of the database (`is_out_of_step`), and the storage refuses further use.
        """
        with self._gathering(), in_words(self._backend):
            connection, changes = retry_while_locked(partial(self._begun, self._adopt), self._backend, wait)
            with closing(connection):
                yield changes
                self._write(connection, wait)

    @contextmanager
    def draft(self, wait: Wait = WAIT) -> Iterator[None]:
        """Run the body against memory as the last transaction left it, then write what it did: all or nothing.

        The database is locked for the writing alone. Raises ChangedMeanwhile if a `transaction` would have found
        changes by then: let one adopt them, and try again. After that, and after any exception in the body or while
        waiting for the database, the memory is as it was before; after one in writing it is as with `transaction`.
        """
        with self._gathering(), in_words(self._backend):
            before = self.snapshot()
            try:
                yield
                begin = partial(self._begun, partial(self._foreign.exist, before))
                connection, is_changed = retry_while_locked(begin, self._backend, wait)
            except BaseException:
                self.restore(before)
                raise
            with closing(connection):
                if is_changed:
                    self.restore(before)
                    raise ChangedMeanwhile
                self._write(connection, wait)

    def close(self) -> None:
        """Close the connections; a file contains everything then, so that it can be copied."""
        self._reader.remove_session()
        self._reader.engine.dispose()
        self._writer.close()

    def _begun(self, look: Callable[[sqlalchemy.Connection], Result]) -> tuple[sqlalchemy.Connection, Result]:
        """Return a connection in a transaction of the study, with what a look at the study by it returns."""
        connection = self._writer.begin()
        try:
            return connection, look(connection)
        except BaseException:
            connection.close()
            raise

    def _adopt(self, connection: sqlalchemy.Connection) -> list[ForeignChange]:
        self.is_out_of_step = True
        return self._foreign.adopt(connection)

    def _take_over(self, number: int) -> None:
        self._sealing.take_over(number, self._to_write())

    def _write(self, connection: sqlalchemy.Connection, wait: Wait) -> None:
        self.is_out_of_step = True
        pending = self._to_write()
        self._sealing.add_to(pending)
        self._writer.write(connection, pending, self.row_ids, wait)
        self.is_out_of_step = False
