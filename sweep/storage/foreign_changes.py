"""Find what other programs write into a study while it is swept, and adopt it instead of overwriting it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from optuna.trial import TrialState

from sweep.errors import StudyError
from sweep.storage.memory import Snapshot, StudyMemory
from sweep.storage.reader import Reader
from sweep.storage.stored_trials import SET_ASIDE
from sweep.storage.writer import StudyWriter


@dataclass(frozen=True)
class ForeignChange:
    """A trial that another program created, or a trial of the sweep whose state another program has set.

    Attributes:
        number: Number of the trial.
        is_new: Whether the other program created it.
        state: Its state now.
        problem: Why it is set aside; None if it is not.
    """

    number: int
    is_new: bool
    state: TrialState
    problem: str | None = None

    def line(self, study_name: str) -> str:
        """Return a notice for the user."""
        if self.problem is not None:
            return f"study {study_name}: trial {self.number} is set aside: {self.problem}"
        if self.is_new:
            return f"trial {self.number} ({self.state.name}) was added by another program"
        return f"trial {self.number} was set to {self.state.name} by another program"


class ForeignChanges:
    """Compare the study in the database with the one in memory, inside a transaction of the writer."""

    def __init__(
        self, memory: StudyMemory, reader: Reader, writer: StudyWriter, take_over: Callable[[int], None]
    ) -> None:
        """Create it for a study.

        Args:
            memory: The study in memory.
            reader: Reads the database by another connection.
            writer: Writes the study.
            take_over: Called with the number of each trial of the sweep whose state another program has set.
        """
        self._memory, self._reader, self._writer, self._take_over = memory, reader, writer, take_over

    def exist(self, before: Snapshot, connection: sqlalchemy.Connection) -> bool:
        """Return whether other programs have changed the study since a snapshot. Nothing is adopted.

        Args:
            before: The snapshot.
            connection: The transaction's connection.
        """
        row_ids = self._memory.row_ids
        known = {(row_ids[number], before.trials[number].state.name) for number in before.open_numbers}
        now, count = self._look(connection, [row for row, _ in known])
        return {*map(tuple, now)} != known or count != len(row_ids)

    def adopt(self, connection: sqlalchemy.Connection) -> list[ForeignChange]:
        """Put the changes of other programs into the memory.

        Args:
            connection: The transaction's connection.

        Returns:
            The changes.

        Raises:
            StudyError: Another program deleted a trial.
        """
        row_ids = self._memory.row_ids
        open_rows = {row_ids[number]: number for number in self._memory.open_numbers}
        now, count = self._look(connection, [*open_rows])
        missing = set(open_rows) - {row.trial_id for row in now}
        if missing:
            raise StudyError(
                f"trial {open_rows[missing.pop()]} was deleted by another program; nothing more is written"
            )
        changes = [self._adopt(row, open_rows.get(row.trial_id)) for row in now]
        if count != len(row_ids):
            raise StudyError("a finished trial was deleted by another program; nothing more is written")
        return [change for change in changes if change is not None]

    def _look(self, connection: sqlalchemy.Connection, open_rows: list[int]) -> tuple[list[Any], int]:
        return self._writer.look(connection, max(self._memory.row_ids.values(), default=0), open_rows)

    def _adopt(self, row: Any, number: int | None) -> ForeignChange | None:
        if number is not None and row.state == self._memory.get_trial(number).state.name:
            return None
        trial = self._reader.get_trial(row.trial_id)  # another connection sees it: it was committed before ours began
        if number is None:
            self._memory.add_loaded(trial)
        else:  # none of its changes are pending, so the database is complete
            self._memory.replace_loaded(number, trial)
            self._take_over(number)
        return ForeignChange(trial.number, number is None, trial.state, trial.user_attrs.get(SET_ASIDE))
