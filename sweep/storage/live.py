"""Read a study for a dashboard: finished trials once, everything else at each request.

Reading 5,000 trials of 20 epochs through Optuna takes seconds, and a page requests them every ten seconds, so Optuna's
own cache of finished trials is used. It assumes that an id always refers to the same study, but SQLite reuses the ids
of deleted studies; a study that was replaced by another one is read again. Trials are checked when they are first read.
"""

import copy
from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from sweep.errors import StudyError
from sweep.storage import rows
from sweep.storage.database import backend_of, connect_reader
from sweep.storage.optuna_internals import FrozenStudy, TrialCache
from sweep.storage.selection import Selection
from sweep.storage.studies import check_rows_after

_FIRST_TRIAL = (
    sqlalchemy.select(rows.STUDIES.c.study_name, rows.TRIALS.c.trial_id, rows.TRIALS.c.datetime_start)
    .outerjoin(rows.TRIALS, rows.TRIALS.c.study_id == rows.STUDIES.c.study_id)
    .where(rows.STUDIES.c.study_id == sqlalchemy.bindparam("study_id"))
    .order_by(rows.TRIALS.c.trial_id)
    .limit(1)
)


class LiveStorage(TrialCache):
    """Optuna's storage on a database that other processes write.

    Args:
        url: URL of the database.
        write: Whether the storage may write; otherwise it is read-only.
        most: N, to show a `Selection` of the N best and the N latest trials of a study; None for all.
        only: The only study to show; None for all.

    Attributes:
        on_replaced: Called when the cached trials of a study are dropped.

    Raises:
        StudyError: There is no database.
    """

    def __init__(self, url: str, *, write: bool = False, most: int | None = None, only: str | None = None) -> None:
        backend_of(url).check()
        # each session reopens the file, so that a database that was deleted and created again is noticed
        super().__init__(connect_reader(url, write=write, poolclass=sqlalchemy.pool.NullPool))
        self.on_replaced: Callable[[], object] = bool  # does nothing
        self._url, self._most, self._only = url, most, only
        self._selections: dict[int, Selection] = {}
        self._first_trials: dict[int, tuple[str, int | None, datetime | None]] = {}

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        """Return the trials as Optuna does. Raise StudyError if a trial that is read for the first time is damaged."""
        self._forget_if_replaced(study_id)
        with self.lock:
            known = self.last_known_row(study_id)
        try:
            trials = super().get_all_trials(study_id, deepcopy=False)
        except Exception:  # Optuna raises anything for a damaged row
            self._check(study_id, known)
            raise
        self._check(study_id, known)
        if self._most is not None:
            trials = self._selection(study_id, trials).of(trials)
        chosen = [trial for trial in trials if states is None or trial.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the best of the trials that are shown."""
        return BaseStorage.get_best_trial(self, study_id)

    def study_of(self, trial_id: int) -> int:
        """Return the row id of the trial's study. Raise KeyError if there is no such trial."""
        database: Any = self.database
        return int(database.study_of(trial_id))

    def on_damage(self, error: StudyError) -> None:
        """Called before a StudyError for damaged rows is raised; does nothing."""

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return all studies, or only the one that is shown."""
        return [study for study in super().get_all_studies() if self._only in (None, study.study_name)]

    def _selection(self, study_id: int, trials: list[FrozenTrial]) -> Selection:
        assert self._most is not None
        directions = self.get_study_directions(study_id)
        with self.lock:
            if study_id not in self._selections:
                self._selections[study_id] = Selection(self._most, trials, directions)
            return self._selections[study_id]

    def _check(self, study_id: int, known_row: int) -> None:
        try:
            check_rows_after(self._url, study_id, known_row)
        except StudyError as error:
            with self.lock:
                self.forget(study_id)
            self.on_damage(error)
            raise

    def _forget_if_replaced(self, study_id: int) -> None:
        with self.database.engine.connect() as connection:
            found = connection.execute(_FIRST_TRIAL, {"study_id": study_id}).one_or_none()
        now = ("", None, None) if found is None else (found.study_name, found.trial_id, found.datetime_start)
        with self.lock:
            before = self._first_trials.get(study_id, now)
            self._first_trials[study_id] = now
            is_replaced = before[0] != now[0] or (before[1] is not None and before != now)
            if is_replaced:
                self.forget(study_id)
                self._selections.pop(study_id, None)
        if is_replaced:
            self.on_replaced()
