"""Show samplers and pruners only the best and the latest trials of a long study, so that sampling time is bounded.

Optuna's samplers and pruners read every trial at every step, so that the time for n trials grows with n^2. Up to
`MOST_RECENT` finished trials none is omitted. TPE fits one density to the best trials, at most 25 of them (`gamma`:
min(0.1 n, 25); Optuna's TPESampler), and one to the others. With this history the first density is unchanged, and the
second is fitted to the latest trials.
"""

from bisect import insort
from collections.abc import Container
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from sweep.pareto import losses
from sweep.storage import STUDY_ID, WriteBehindStorage
from sweep.storage.optuna_internals import UncachedStudy

MOST_RECENT = 1000  # finished trials
MOST_BEST = 100  # COMPLETE trials by each objective


class RecentStorage:
    """A storage that shows the unfinished trials, the latest finished ones, and the best ones.

    Which trials are shown does not depend on the order in which they finished, so that a resumed study sees the same.
    All other methods are those of the wrapped storage.

    Args:
        storage: The storage to wrap.
        most_best: Number of best trials of each objective to show.
    """

    def __init__(self, storage: WriteBehindStorage, most_best: int) -> None:
        self._storage, self._most_best = storage, most_best
        self._directions = storage.get_study_directions(STUDY_ID)
        self._reset()

    def _reset(self) -> None:
        self._source = self._storage.finished_numbers
        self._num_seen = 0  # of the storage's finished trials
        self._numbers: list[int] = []  # sorted numbers of the latest finished trials
        self._best: list[list[tuple[float, int]]] = [[] for _ in self._directions]  # loss and number, by objective
        self._finished: list[FrozenTrial] = []  # the finished trials that are shown

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = False, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials that are shown, by number, never copied."""
        self._update()
        open_trials = map(self._storage.get_trial, self._storage.open_numbers)
        trials = [trial for trial in (*self._finished, *open_trials) if states is None or trial.state in states]
        return sorted(trials, key=lambda trial: trial.number)

    def _update(self) -> None:
        """Add the trials that have finished since the last call."""
        if self._source is not self._storage.finished_numbers:  # a draft was undone
            self._reset()
        new = self._storage.finished_numbers[self._num_seen :]
        if not new:
            return
        self._num_seen += len(new)
        for number in new:
            insort(self._numbers, number)
            trial = self._storage.get_trial(number)
            if trial.state == TrialState.COMPLETE:
                self._add_to_best(trial)
        del self._numbers[:-MOST_RECENT]
        kept = {*self._numbers, *(number for best in self._best for _, number in best)}
        self._finished = [self._storage.get_trial(number) for number in sorted(kept)]

    def _add_to_best(self, trial: FrozenTrial) -> None:
        for best, loss in zip(self._best, losses(trial.values, self._directions), strict=True):
            insort(best, (loss, trial.number))
            del best[self._most_best :]


class RecentStudy(UncachedStudy):
    """A study that shows the trials of a `RecentStorage` to a sampler or a pruner."""

    def __init__(self, name: str, storage: WriteBehindStorage, most_best: int) -> None:
        super().__init__(name, cast(Any, RecentStorage(storage, most_best)))


class RecentSampler(optuna.samplers.BaseSampler):
    """A sampler that calls another one with a `RecentStudy` in place of the study."""

    def __init__(self, sampler: optuna.samplers.BaseSampler, study: RecentStudy) -> None:
        self._sampler, self._study = sampler, study

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Call the wrapped sampler's method."""
        return self._sampler.infer_relative_search_space(self._study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Call the wrapped sampler's method."""
        return self._sampler.sample_relative(self._study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Call the wrapped sampler's method."""
        return self._sampler.sample_independent(self._study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Call the wrapped sampler's method."""
        self._sampler.before_trial(self._study, trial)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Call the wrapped sampler's method."""
        self._sampler.after_trial(self._study, trial, state, values)
