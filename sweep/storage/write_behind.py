"""An in-memory Optuna storage whose changes are written to the database by transactions.

Samplers and pruners work in memory. What they and the tuner write is collected and written by one transaction for each
`ask` and for each round of epochs. (Optuna's own storage needs 111 to 161 ms of CPU per trial in the ORM; see
benchmarks/ for sweep's.) A transaction first adopts what other programs wrote, and never overwrites it.

A `transaction` locks the study while its body runs; a `draft`, for bodies that take long, only while it is written.
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
from sweep.storage.writer import MARK, StudyWriter, driver_errors_converted, retry_while_locked


class ChangedMeanwhile(Exception):
    """Another program has changed the study during a draft."""


class WriteBehindStorage(PendingStorage):
    """A storage of one study. It reads from memory; writes outside a `transaction` or `draft` raise StudyError."""

    def __init__(self, url: str, study_name: str, distributions: Mapping[str, BaseDistribution] | None = None) -> None:
        """Load an existing study.

        Args:
            url: URL of the database.
            study_name: Name of the study.
            distributions: The study's own distributions by parameter. Values outside of them, which other programs
                tried, are not shown to samplers.

        Raises:
            KeyError: There is no such study.
            StudyError: The study is damaged.

        """
        super().__init__(study_name)
        check_rows(url, study_name)
        self._backend = backend_of(url)
        self._reader = self._backend.connect_reader()
        self._study_row = self._reader.get_study_id_from_name(study_name)
        mark = self._reader.get_study_system_attrs(self._study_row).get(MARK)  # read before the rest of the study
        self._writer = StudyWriter(self._backend, study_name, self._study_row, mark)
        with reading(url):
            self.load(self._reader, self._study_row, distributions or {})
        self._sealing = Sealing(self)
        self._foreign = ForeignChanges(self, self._reader, self._writer, self._take_over)

    def row_id(self, number: int) -> int:
        """Return the trial's id in the database. Raise KeyError if it is not stored yet."""
        return self.row_ids[number]

    def is_ours(self, number: int) -> bool:
        """Return whether the sweep trains or has trained the trial; other programs may have set the same attributes."""
        return number in self.own_numbers

    def is_stored(self, number: int) -> bool:
        """Return whether the trial is in the database; a trial that is new in this transaction is not."""
        return number in self.row_ids

    def stored_system_attrs(self) -> dict[str, Any]:
        """Return the study's system attributes in the database, including those of other programs."""
        return self._reader.get_study_system_attrs(self._study_row)

    @contextmanager
    def transaction(self, wait: Wait = WAIT) -> Iterator[list[ForeignChange]]:
        """Adopt what other programs wrote, run the body against memory, and write its changes in one transaction.

        After an exception in the body, or in writing, the memory is ahead of the database (`is_out_of_step`), and the
        storage cannot be used any more.

        Args:
            wait: How to wait while another program holds the write lock.

        Yields:
            The changes of other programs.

        Raises:
            StudyError: The study was deleted, numbers of trials collide, or the database cannot be written.
        """
        with self._collecting(), driver_errors_converted(self._backend):
            connection, changes = retry_while_locked(partial(self._begun, self._adopt), self._backend, wait)
            with closing(connection):
                yield changes
                self._write(connection, wait)

    @contextmanager
    def draft(self, wait: Wait = WAIT) -> Iterator[None]:
        """Run the body against memory, then write its changes in one transaction, if no other program wrote since.

        The database is locked only for the write. After an exception in the body or while waiting, the memory is
        restored; after one in writing it is ahead of the database, as with `transaction`.

        Args:
            wait: How to wait while another program holds the write lock.

        Raises:
            ChangedMeanwhile: Another program has changed the study. The memory is restored; let a `transaction` adopt
                the changes, and try again.
            StudyError: As with `transaction`.
        """
        with self._collecting(), driver_errors_converted(self._backend):
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
        """Close the connections. A SQLite file is complete without its log then, so that it can be copied."""
        self._reader.remove_session()
        self._reader.engine.dispose()
        self._writer.close()

    def _begun(self, look: Callable[[sqlalchemy.Connection], Result]) -> tuple[sqlalchemy.Connection, Result]:
        """Begin a transaction. Return its connection, and the result of `look` with this connection."""
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
