"""Limit the number of trials that are drawn: choose samples that include the best, and label them as samples."""

from collections.abc import Sequence
from typing import Any, TypeVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweep.results.report.data import StudyData
from sweep.results.report.formatting import plot_text

T = TypeVar("T")
MAX_BEST = 50


def evenly_spaced(items: Sequence[T], limit: int) -> list[T]:
    """Choose evenly spaced items, including the first and the last.

    Args:
        items: The items.
        limit: The largest number of items to choose.

    Returns:
        The chosen items in their order.
    """
    if len(items) <= limit:
        return list(items)
    if limit <= 1:
        return list(items[:limit])
    return [items[round(position * (len(items) - 1) / (limit - 1))] for position in range(limit)]


def sample(data: StudyData, trials: Sequence[FrozenTrial], limit: int) -> list[FrozenTrial]:
    """Choose trials: the best ones, and others evenly spaced by rank, so that all scores are represented.

    Args:
        data: The study.
        trials: Trials of the study.
        limit: The largest number of trials to choose.

    Returns:
        The chosen trials by number.
    """
    if len(trials) <= limit:
        return list(trials)
    ranked = sorted(trials, key=data.rank)
    num_best = min(limit // 4, MAX_BEST)
    chosen = [*ranked[:num_best], *evenly_spaced(ranked[num_best:], limit - num_best)]
    return sorted(chosen, key=lambda trial: trial.number)


def sample_note(num_shown: int, num_all: int, items: str, how: str = "") -> str:
    """State how a sample was chosen.

    Args:
        num_shown: Size of the sample.
        num_all: Number of all items.
        items: What the items are, in the plural.
        how: How they were chosen. Default: as by `sample`.

    Returns:
        A sentence; empty if all items are shown.
    """
    how = how or f"the best {min(num_shown // 4, MAX_BEST)}, and others evenly spaced by score"
    return f"A sample: {num_shown:,} of {num_all:,} {items}, {how}." if num_shown < num_all else ""


class EscapedStudy(optuna.Study):
    """Some trials of a study for `optuna.visualization`, with escaped names and values and without attributes.

    Args:
        data: The study, viewed by one objective.
        trials: The trials.
    """

    def __init__(self, data: StudyData, trials: Sequence[FrozenTrial]) -> None:
        name = plot_text(data.name)
        storage = InMemoryStorage()
        storage.create_new_study([StudyDirection.MAXIMIZE if data.maximize else StudyDirection.MINIMIZE], name)
        super().__init__(name, storage)
        escape = _Escaper(data.objective)
        self._sample = [escape.trial(trial) for trial in trials]

    def get_trials(self, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        """Return the trials, which are never copied.

        Args:
            deepcopy: Ignored.
            states: Only trials in these states; None for all.

        Returns:
            The trials.
        """
        return [trial for trial in self._sample if states is None or trial.state in states]


class _Escaper:
    """Escape trials for one objective; distributions, which thousands of trials share, are escaped once each."""

    def __init__(self, objective: int) -> None:
        self._objective = objective
        self._distributions: dict[BaseDistribution, BaseDistribution] = {}

    def trial(self, trial: FrozenTrial) -> FrozenTrial:
        distributions = {
            plot_text(name): self._distribution(distribution) for name, distribution in trial.distributions.items()
        }
        return FrozenTrial(
            number=trial.number,
            trial_id=trial.number,
            state=trial.state,
            value=None,
            values=[trial.values[self._objective]] if trial.state == TrialState.COMPLETE and trial.values else None,
            datetime_start=trial.datetime_start,
            datetime_complete=trial.datetime_complete,
            params={plot_text(name): _escape_choice(value) for name, value in trial.params.items()},
            distributions=distributions,
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )

    def _distribution(self, distribution: BaseDistribution) -> BaseDistribution:
        if not isinstance(distribution, CategoricalDistribution):
            return distribution
        if distribution not in self._distributions:
            choices = [_escape_choice(choice) for choice in distribution.choices]
            self._distributions[distribution] = CategoricalDistribution(choices)
        return self._distributions[distribution]


def _escape_choice(value: Any) -> Any:
    return plot_text(value) if isinstance(value, str) else value
