"""What a dashboard reads: finished trials once, everything else anew each time.

Reading 5,000 trials of 20 epochs through Optuna takes seconds, and a page asks every ten: Optuna's own cache of
finished trials makes that an instant. It takes a study's id for the study for ever, but SQLite gives the ids of a
deleted study again; a study that turns out to be another one is read anew.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy
from optuna.storages._cached_storage import _CachedStorage
from optuna.trial import FrozenTrial

from sweep.storage import rows
from sweep.storage.database import connect_reader

_FIRST_TRIAL = (
    sqlalchemy.select(rows.STUDIES.c.study_name, rows.TRIALS.c.trial_id, rows.TRIALS.c.datetime_start)
    .outerjoin(rows.TRIALS, rows.TRIALS.c.study_id == rows.STUDIES.c.study_id)
    .where(rows.STUDIES.c.study_id == sqlalchemy.bindparam("study_id"))
    .order_by(rows.TRIALS.c.trial_id)
    .limit(1)
)


class LiveStorage(_CachedStorage):
    """Optuna's storage on a database that others write; read-only unless `write`. StudyError if there is none.

    `on_replaced` is called when what was remembered of a study is dropped.
    """

    def __init__(self, url: str, *, write: bool = False) -> None:
        # each session opens the file anew: a database that was deleted and made again is noticed
        super().__init__(connect_reader(url, write=write, poolclass=sqlalchemy.pool.NullPool))
        self.on_replaced: Callable[[], None] = lambda: None
        self._first_trials: dict[int, tuple[str, int | None, datetime | None]] = {}

    def get_all_trials(self, study_id: int, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        """Optuna's, after a look at whether the study is still the same."""
        self._forget_if_replaced(study_id)
        return super().get_all_trials(study_id, deepcopy, states)

    def _forget_if_replaced(self, study_id: int) -> None:
        with self._backend.engine.connect() as connection:
            found = connection.execute(_FIRST_TRIAL, {"study_id": study_id}).one_or_none()
        now = ("", None, None) if found is None else (found.study_name, found.trial_id, found.datetime_start)
        with self._lock:
            before = self._first_trials.get(study_id, now)
            self._first_trials[study_id] = now
            is_replaced = before[0] != now[0] or (before[1] is not None and before != now)
            if is_replaced:
                self._studies.pop(study_id, None)
        if is_replaced:
            self.on_replaced()
