"""Choose params so that no point of a finite space is tried twice, with any sampler.

A trial's params are drawn before they are stored. If another trial has this point, they are drawn again a few times,
with seeds derived from (seed, trial number, attempt); then an untried point is chosen from the list of all points. A
grid search uses that list, shuffled by the study's seed, in its order. The choice depends only on the earlier trials,
so a resumed study draws the same params as an uninterrupted one.

Enqueued trials may repeat a point; their points count as tried.
"""

import random
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from sweep.space.parameters import Params
from sweep.space.points import Point, Points
from sweep.space.runs import derived_seed
from sweep.storage import WriteBehindStorage
from sweep.storage.optuna_internals import contains, study_seen_by_sampler

MOST_DRAWS = 10

DrawParams = Callable[[int], Params]  # called with the number of the attempt


class UntriedPoints:
    """The points of a study's space that no trial has.

    Args:
        points: All points of the space.
        storage: The study's storage.
        seed: The study's seed.
        lists: Whether to choose points in the order of a list, as in a grid search, instead of drawing them.
    """

    def __init__(self, points: Points, storage: WriteBehindStorage, seed: int, *, lists: bool) -> None:
        self._points, self._storage, self._seed, self._lists = points, storage, seed, lists
        self._running: set[Point | None] = set()
        self._order: list[Point] = []
        self._reset()

    def _reset(self) -> None:
        self._source = self._storage.finished_numbers
        self._num_seen = 0  # of the storage's finished trials
        self._finished: set[Point | None] = set()  # None for a trial of another program that is on no point

    def num_left(self) -> int:
        """Return the number of untried points."""
        self._update()
        num_tried = len(self._finished - {None}) + len(self._running - self._finished - {None})
        return (self._points.count or 0) - num_tried

    def choose(self, number: int, draw: DrawParams) -> Params:
        """Choose the params of a trial.

        Args:
            number: Number of the trial.
            draw: Draws params, which depend on the attempt.

        Returns:
            The params; the first result of `draw` if no untried point is left.
        """
        self._update()
        for attempt in range(0 if self._lists else MOST_DRAWS):
            params = draw(attempt)
            if not self._is_tried(self._points.of(params)):
                return params
        left = [point for point in self._listed() if not self._is_tried(point)]
        if not left:
            return draw(0)
        chooser = random.Random(derived_seed(self._seed, number))
        return self._points.params(left[0] if self._lists else chooser.choice(left))

    def _is_tried(self, point: Point | None) -> bool:
        return point in self._finished or point in self._running

    def _update(self) -> None:
        """Add the points of trials that have finished since the last call, and of running ones."""
        if self._source is not self._storage.finished_numbers:  # a draft was undone
            self._reset()
        new = self._storage.finished_numbers[self._num_seen :]
        self._num_seen += len(new)
        self._finished.update(map(self._point_of, new))
        trials = map(self._storage.get_trial, self._storage.open_numbers)
        self._running = {self._points.of(trial.params) for trial in trials if trial.state == TrialState.RUNNING}

    def _point_of(self, number: int) -> Point | None:
        return self._points.of(self._storage.get_trial(number).params)

    def _listed(self) -> list[Point]:
        """Return all points, shuffled by the study's seed, as adjacent points are similar."""
        if not self._order:
            self._order = [*self._points.all]
            random.Random(self._seed).shuffle(self._order)
        return self._order


class DraftTrial:
    """A trial whose suggest methods sample as those of Optuna's `Trial`, but store nothing.

    Args:
        study: The study, whose sampler is used.
        trial: The trial as it is stored, without params.
    """

    def __init__(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._study, self._sampler, self._trial = study_seen_by_sampler(study, trial), study.sampler, copy(trial)
        self._trial.params, self._trial.distributions = {}, {}
        space = self._sampler.infer_relative_search_space(self._study, self._trial)
        self._relative = self._sampler.sample_relative(self._study, self._trial, space)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Suggest as Optuna does."""
        return float(self._suggest(name, FloatDistribution(low, high, log=log, step=step)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Suggest as Optuna does."""
        return int(self._suggest(name, IntDistribution(low, high, log=log, step=step)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Suggest as Optuna does."""
        return self._suggest(name, CategoricalDistribution(choices))

    def _suggest(self, name: str, distribution: BaseDistribution) -> Any:
        if distribution.single():
            value = _only_value(distribution)
        elif name in self._relative and contains(distribution, distribution.to_internal_repr(self._relative[name])):
            value = self._relative[name]
        else:
            value = self._sampler.sample_independent(self._study, self._trial, name, distribution)
        self._trial.params[name], self._trial.distributions[name] = value, distribution
        return value


def _only_value(distribution: Any) -> Any:
    return distribution.choices[0] if isinstance(distribution, CategoricalDistribution) else distribution.low


class ChosenParams(optuna.samplers.BaseSampler):
    """A sampler that returns params that were chosen before.

    Args:
        params: The params.
    """

    def __init__(self, params: Params) -> None:
        self._params = params

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return an empty space: the params are sampled one by one."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return no params."""
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the param's value."""
        return self._params[param_name]
