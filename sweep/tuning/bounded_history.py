"""What samplers and pruners see of a long study: the best of its trials and the latest ones, at a bounded price.

Optuna's samplers and pruners look at every trial at every step, so that n trials cost n^2. Up to `MOST_RECENT` finished
trials nothing is left out. TPE fits one density to the best trials, of which it takes 25 at most (`gamma`: min(0.1 n,
25); Optuna's TPESampler), and one to the others: the first is the same as ever, the second is of the latest ones.
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
    """A storage that shows the trials that are not finished, the latest that are, and `most_best` of the best ones.

    Which they are depends on what is finished, not on the order of finishing: a resumed study sees the same. All else
    is the storage's own.
    """

    def __init__(self, storage: WriteBehindStorage, most_best: int) -> None:
        self._storage, self._most_best = storage, most_best
        self._directions = storage.get_study_directions(STUDY_ID)
        self._start_over()

    def _start_over(self) -> None:
        self._followed = self._storage.finished_numbers
        self._num_seen = 0  # of the storage's finished trials
        self._numbers: list[int] = []  # of the latest, in order
        self._best: list[list[tuple[float, int]]] = [[] for _ in self._directions]  # loss and number, by objective
        self._finished: list[FrozenTrial] = []  # what is shown of them

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = False, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials as Optuna's storages do, but never copied."""
        self._follow()
        open_trials = map(self._storage.get_trial, self._storage.open_numbers)
        trials = [trial for trial in (*self._finished, *open_trials) if states is None or trial.state in states]
        return sorted(trials, key=lambda trial: trial.number)

    def _follow(self) -> None:
        """Count in what was finished since the last look."""
        if self._followed is not self._storage.finished_numbers:  # some were taken back
            self._start_over()
        new = self._storage.finished_numbers[self._num_seen :]
        if not new:
            return
        self._num_seen += len(new)
        for number in new:
            insort(self._numbers, number)
            trial = self._storage.get_trial(number)
            if trial.state == TrialState.COMPLETE:
                self._count_as_best(trial)
        del self._numbers[:-MOST_RECENT]
        kept = {*self._numbers, *(number for best in self._best for _, number in best)}
        self._finished = [self._storage.get_trial(number) for number in sorted(kept)]

    def _count_as_best(self, trial: FrozenTrial) -> None:
        for best, loss in zip(self._best, losses(trial.values, self._directions), strict=True):
            insort(best, (loss, trial.number))
            del best[self._most_best :]


class RecentStudy(UncachedStudy):
    """The study that a sampler or a pruner is given. Its storage looks for new trials cheaply."""

    def __init__(self, name: str, storage: WriteBehindStorage, most_best: int) -> None:
        super().__init__(name, cast(Any, RecentStorage(storage, most_best)))


class RecentSampler(optuna.samplers.BaseSampler):
    """A sampler that is given the `RecentStudy` in place of the study."""

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
