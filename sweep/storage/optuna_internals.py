"""Wrap every private part of Optuna and optuna-dashboard that sweep relies on; no other module uses one.

Each docstring states what the public API lacks. If a new version of Optuna breaks sweep, look here and at the tests of
this module first.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from functools import partial
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution
from optuna.pruners import _filter_study
from optuna.samplers import BaseSampler, CmaEsSampler
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages._rdb import models
from optuna.study import Study, StudyDirection
from optuna.study._frozen import FrozenStudy as FrozenStudy  # returned by public methods, but not exported
from optuna.trial import FrozenTrial, TrialState

NOT_FINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}  # types of stored values other than FINITE


def schema_table(name: str) -> sqlalchemy.Table:
    """Return a table of Optuna's schema for SQLAlchemy Core statements.

    Optuna's storages write one value at a time through ORM objects, which takes 111 to 161 ms of CPU per trial.
    """
    tables: Mapping[str, sqlalchemy.Table] = models.BaseModel.metadata.tables
    return tables[name]


def stored_value(value: float) -> tuple[float | None, Any]:
    """Return an objective's value as two columns, number and type; the type represents an infinity."""
    return models.TrialValueModel.value_to_stored_repr(value)


def stored_intermediate_value(value: float) -> tuple[float | None, Any]:
    """Return a reported value as two columns, number and type; the type represents NaN or an infinity."""
    return models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)


def row_id(trial: FrozenTrial) -> int:
    """Return the trial's id in its storage; with Optuna's public API this takes a query."""
    return trial._trial_id


def storage_of(study: Study) -> BaseStorage:
    """Return the study's storage, which Optuna does not make public."""
    return study._storage


def contains(distribution: BaseDistribution, internal_value: float) -> bool:
    """Return whether a distribution contains a value, given in Optuna's internal representation.

    Optuna's public check is for a whole trial, and raises.
    """
    return distribution._contains(internal_value)


def study_seen_by_sampler(study: Study, trial: FrozenTrial) -> Study:
    """Return the study that Optuna's `Trial` passes to the sampler: with Hyperband, only this trial's bracket."""
    return _filter_study(study, trial)


def reseed(sampler: BaseSampler, seed: int) -> None:
    """Set the seed of a sampler and of the samplers that it contains; Optuna's `reseed_rng` takes no seed."""
    for name, part in vars(sampler).items():
        if isinstance(part, LazyRandomState):
            setattr(sampler, name, LazyRandomState(seed))
        elif isinstance(part, BaseSampler):
            reseed(part, seed)


def forget_cached_trials(study: Study) -> None:
    """Clear the trials that a study has cached for its sampler at the last `ask`, so that it sees the current ones."""
    study._thread_local.cached_all_trials = None


def forget_trials(dashboard: Any) -> None:
    """Clear the cache of an optuna-dashboard application, which assumes that an id always refers to the same study."""
    dashboard._inmemory_cache.clear()


class MemoryStorage(InMemoryStorage):
    """An `InMemoryStorage` into which trials can be put without a copy.

    `create_new_trial` makes a deep copy of a template, which takes ten times as long as reading the trial.
    """

    def put_trial(self, study_id: int, trial_id: int, trial: FrozenTrial) -> None:
        """Replace the trial with this id.

        Args:
            study_id: Id of the study.
            trial_id: Id of the trial to replace.
            trial: The new trial, which must not be changed by the caller afterwards.
        """
        trial._trial_id = trial_id
        self._set_trial(trial_id, trial)
        self._update_cache(trial_id, study_id)

    def known_distributions(self, study_id: int) -> dict[str, BaseDistribution]:
        """Return the distributions, by parameter, that later trials must be compatible with; more can be added."""
        return self._studies[study_id].param_distribution


class RowStorage(RDBStorage):
    """An `RDBStorage` that reads all trials by `read_trials`, also for Optuna's cache in front of it."""

    @abstractmethod
    def read_trials(self, study_id: int, after_row: int, included: Collection[int]) -> list[FrozenTrial]:
        """Return trials of a study.

        Args:
            study_id: Row id of the study.
            after_row: Trials with a row id above this one are returned.
            included: Row ids of further trials to return.

        Returns:
            The trials, ordered by row id.
        """

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
        """Choose among the trials as `read_trials` returns them; Optuna's query would include unusable ones."""
        return row_id(BaseStorage.get_best_trial(self, study_id))


class TrialCache(_CachedStorage):
    """The cache that Optuna puts in front of an `RDBStorage`, which reads finished trials once.

    It is not public, and it cannot forget a study that was replaced by another one.
    """

    def __init__(self, database: RDBStorage) -> None:
        super().__init__(database)
        self.database = database

    @property
    def lock(self) -> Any:
        """Return the lock that protects the cache."""
        return self._lock

    def forget(self, study_id: int) -> None:
        """Drop the cached trials of a study. The caller holds the `lock`."""
        self._studies.pop(study_id, None)

    def last_known_row(self, study_id: int) -> int:
        """Return the row id up to which all trials are finished and cached. The caller holds the `lock`."""
        study = self._studies.get(study_id)
        if study is None:
            return 0
        return min([study.last_finished_trial_id, *(row - 1 for row in study.unfinished_trial_ids)])


class UncachedStudy(Study):
    """A study that does not cache trials.

    Optuna's `Study` caches them for its sampler until the next `ask`, which is never called on this study.
    """

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return self._storage.get_all_trials(self._study_id, deepcopy=deepcopy, states=states)


class RestoringCmaEsSampler(CmaEsSampler):
    """A `CmaEsSampler` that reads its stored optimizer by `restored`; Optuna's own loads the pickle unchecked."""

    @abstractmethod
    def restored(self, trial: FrozenTrial, text: Callable[[], str]) -> Any:
        """Return the optimizer that is stored with a trial.

        Args:
            trial: The trial.
            text: Returns the hex digits of the optimizer's pickle, or raises.
        """

    def _restore_optimizer(self, completed_trials: Sequence[FrozenTrial]) -> Any:
        """Return the newest optimizer; None if no trial has one."""
        for trial in reversed(completed_trials):
            pieces = {key: text for key, text in trial.system_attrs.items() if key.startswith(self._attr_key_optimizer)}
            if pieces:
                return self.restored(trial, partial(self._concat_optimizer_attrs, pieces))
        return None
