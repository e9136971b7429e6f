"""What is drawn stays bounded at any number of trials: samples that keep the best, and say that they are samples."""

from collections.abc import Sequence
from typing import Any, TypeVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweep.results.report.data import StudyData
from sweep.results.report.texts import plot_text

T = TypeVar("T")
MOST_BEST = 50


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many of the items, evenly spaced, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    if most <= 1:
        return list(items[:most])
    return [items[round(position * (len(items) - 1) / (most - 1))] for position in range(most)]


def sample(data: StudyData, trials: Sequence[FrozenTrial], most: int) -> list[FrozenTrial]:
    """At most so many, by number: the best, and others spread evenly over the ranks: all scores show."""
    if len(trials) <= most:
        return list(trials)
    ranked = sorted(trials, key=data.rank)
    num_best = min(most // 4, MOST_BEST)
    chosen = [*ranked[:num_best], *spread(ranked[num_best:], most - num_best)]
    return sorted(chosen, key=lambda trial: trial.number)


def what_is_shown(num_shown: int, num_all: int, what: str, how: str = "") -> str:
    """A sentence where the figure is a sample; nothing where it is not."""
    how = how or f"the best {min(num_shown // 4, MOST_BEST)}, and others spread evenly over the scores"
    return f"A sample: {num_shown:,} of {num_all:,} {what}, {how}." if num_shown < num_all else ""


class EscapedStudy(optuna.Study):
    """Some trials of a study for Optuna's own figures: names and values escaped, attributes left out, numbers kept."""

    def __init__(self, data: StudyData, trials: Sequence[FrozenTrial]) -> None:
        name = plot_text(data.name)
        storage = InMemoryStorage()
        storage.create_new_study([StudyDirection.MAXIMIZE if data.maximize else StudyDirection.MINIMIZE], name)
        super().__init__(name, storage)
        escape = _Escaper(data.objective)
        self._sample = [escape.trial(trial) for trial in trials]

    def get_trials(self, deepcopy: bool = True, states: Any = None) -> list[FrozenTrial]:
        """The sample, never copied."""
        return [trial for trial in self._sample if states is None or trial.state in states]


class _Escaper:
    """Distributions are escaped once each: thousands of trials share them. The value is that of one objective."""

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
