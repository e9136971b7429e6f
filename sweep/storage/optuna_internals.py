"""Every private part of Optuna, and of optuna-dashboard, that sweep relies on; nothing else uses one.

Each says what it is for, and what the public API lacks. When Optuna moves, this module and its tests are where to look.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from functools import partial
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution
from optuna.pruners import _filter_study
from optuna.samplers import CmaEsSampler
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages._rdb import models
from optuna.study import Study, StudyDirection
from optuna.study._frozen import FrozenStudy as FrozenStudy  # what public storages return, with no public name
from optuna.trial import FrozenTrial, TrialState

NOT_FINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}  # types of stored values other than FINITE


def schema_table(name: str) -> sqlalchemy.Table:
    """Return the table of Optuna's schema with this name, for our own statements.

    Optuna's storages write one value at a time, through objects: 111 to 161 ms of CPU a trial.
    """
    tables: Mapping[str, sqlalchemy.Table] = models.BaseModel.metadata.tables
    return tables[name]


def stored_value(value: float) -> tuple[float | None, Any]:
    """Return an objective's value as two columns: a number and its type, as a column cannot store an infinity."""
    return models.TrialValueModel.value_to_stored_repr(value)


def stored_intermediate_value(value: float) -> tuple[float | None, Any]:
    """Return a reported value as two columns; it may be NaN."""
    return models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)


def row_id(trial: FrozenTrial) -> int:
    """Return the trial's id in its storage; Optuna's public API needs another query for it."""
    return trial._trial_id


def storage_of(study: Study) -> BaseStorage:
    """Return the study's storage, which Optuna does not make public."""
    return study._storage


def contains(distribution: BaseDistribution, internal_value: float) -> bool:
    """Return whether a value in Optuna's internal representation is one of the distribution's.

    Optuna's public check is of a whole trial, and raises.
    """
    return distribution._contains(internal_value)


def study_seen_by_sampler(study: Study, trial: FrozenTrial) -> Study:
    """Return the study that Optuna's `Trial` passes to the sampler: with Hyperband, only this trial's bracket."""
    return _filter_study(study, trial)


def forget_trials(dashboard: Any) -> None:
    """Clear the cache of an optuna-dashboard application, which assumes that a study's id never changes its study."""
    dashboard._inmemory_cache.clear()


class MemoryStorage(InMemoryStorage):
    """An `InMemoryStorage` into which trials can be put as they are.

    `create_new_trial` copies a template deeply, at ten times the cost of reading it.
    """

    def put_trial(self, study_id: int, trial_id: int, trial: FrozenTrial) -> None:
        """Take the trial, which is the storage's from now on, in place of the one with this id."""
        trial._trial_id = trial_id
        self._set_trial(trial_id, trial)
        self._update_cache(trial_id, study_id)

    def known_distributions(self, study_id: int) -> dict[str, BaseDistribution]:
        """Return the distributions that later trials must be compatible with, by parameter; more can be added."""
        return self._studies[study_id].param_distribution


class RowStorage(RDBStorage):
    """An `RDBStorage` whose trials are read by `read_trials`, its cache's too."""

    @abstractmethod
    def read_trials(self, study_id: int, after_row: int, included: Collection[int]) -> list[FrozenTrial]:
        """The study's trials with a row id above `after_row`, and the `included` ones; by row id."""

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        included = [row for row in included_trial_ids if row <= trial_id_greater_than]
        trials = self.read_trials(study_id, trial_id_greater_than, included)
        return [trial for trial in trials if states is None or trial.state in states]

    def _get_best_trial_id(self, study_id: int, direction: StudyDirection) -> int:
        """Of the trials as they are read: Optuna's query knows the database alone."""
        return row_id(BaseStorage.get_best_trial(self, study_id))


class TrialCache(_CachedStorage):
    """What Optuna puts in front of an `RDBStorage`: finished trials are read once.

    It has no public name, and no way to forget a study that another one has replaced.
    """

    def __init__(self, database: RDBStorage) -> None:
        super().__init__(database)
        self.database = database

    @property
    def lock(self) -> Any:
        """Return the lock that protects the cache."""
        return self._lock

    def forget(self, study_id: int) -> None:
        """Read the study again. The caller holds the `lock`."""
        self._studies.pop(study_id, None)

    def last_known_row(self, study_id: int) -> int:
        """Return the row id up to which all trials are finished and cached. The caller holds the `lock`."""
        study = self._studies.get(study_id)
        if study is None:
            return 0
        return min([study.last_finished_trial_id, *(row - 1 for row in study.unfinished_trial_ids)])


class UncachedStudy(Study):
    """A study that asks its storage for the trials each time.

    Optuna's keeps them for its sampler until its own next `ask`; a study that is never asked would keep them for ever.
    """

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study_id, deepcopy=deepcopy, states=states)


class RestoringCmaEsSampler(CmaEsSampler):
    """A `CmaEsSampler` whose stored optimizer is read by `restored`; Optuna's own executes the pickle that it finds."""

    @abstractmethod
    def restored(self, trial: FrozenTrial, text: Callable[[], str]) -> Any:
        """Return the optimizer that this trial stores. `text` returns the hex digits of its pickle, or raises."""

    def _restore_optimizer(self, completed_trials: Sequence[FrozenTrial]) -> Any:
        """The newest one, None without any."""
        for trial in reversed(completed_trials):
            pieces = {key: text for key, text in trial.system_attrs.items() if key.startswith(self._attr_key_optimizer)}
            if pieces:
                return self.restored(trial, partial(self._concat_optimizer_attrs, pieces))
        return None
