"""Read what a report needs from a study, once, and robustly, as other programs may have written to it."""

import math
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweep.config.training import TrainingConfig
from sweep.pareto import deviations, metric_names, pareto_front
from sweep.results.confirmation import Confirmation, read_confirmation
from sweep.results.report.formatting import short
from sweep.storage.digest import is_ours
from sweep.storage.set_aside import without_foreign_params
from sweep.storage.stored_trials import epochs, section


@dataclass(frozen=True)
class StudyData:
    """A study with its trials, viewed by one of its objectives.

    Attributes:
        name: The study's name.
        metrics: The objectives' metrics.
        directions: The objectives' directions.
        user_attrs: The study's user attributes.
        trials: All trials by number, not copied: do not change them.
        objective: The index of the objective that metric, scores and ranks are of.
    """

    name: str
    metrics: list[str]
    directions: list[StudyDirection]
    user_attrs: dict[str, Any]
    trials: list[FrozenTrial]
    objective: int = 0

    @property
    def metric(self) -> str:
        """The metric of the objective."""
        return self.metrics[self.objective]

    @property
    def maximize(self) -> bool:
        """Whether a higher value is better."""
        return self.directions[self.objective] == StudyDirection.MAXIMIZE

    def of_objective(self, number: int) -> "StudyData":
        """Return the study viewed by another objective.

        Args:
            number: Index of the objective.

        Returns:
            A view of the same trials.
        """
        return replace(self, objective=number)

    @cached_property
    def pareto_front(self) -> list[FrozenTrial]:
        """The Pareto-optimal COMPLETE trials with finite values, best first in the first objective."""
        finite = [trial for trial in self.complete if all(map(math.isfinite, trial.values or ()))]
        return pareto_front(finite, self.directions)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings that `sweep run` stored; empty for a study of another program."""
        return section(self.user_attrs, "sweep")

    @property
    def is_function(self) -> bool:
        """Whether the objective is a plain function, so that nothing was trained."""
        return "function" in section(self.settings, "space")

    @cached_property
    def has_epochs(self) -> bool:
        """Whether trials have epochs: they were trained, or a function reported several values."""
        return not self.is_function or any(len(trial.intermediate_values) > 1 for trial in self.trials)

    @cached_property
    def confirmation(self) -> Confirmation | None:
        """The scores of `sweep confirm`; None if there are none."""
        return read_confirmation(self.user_attrs)

    @cached_property
    def complete(self) -> list[FrozenTrial]:
        """The COMPLETE trials with a finite value, best first."""
        finite = [trial for trial in self.in_state("COMPLETE") if math.isfinite(self.score(trial))]
        return sorted(finite, key=self.rank)

    @cached_property
    def winner(self) -> FrozenTrial | None:
        """The best confirmed trial, else the one with the best score; None if no trial is COMPLETE."""
        confirmed = [one.trial for one in self.confirmation.ranking] if self.confirmation else []
        by_number = {trial.number: trial for trial in self.complete}
        return by_number[confirmed[0]] if confirmed and confirmed[0] in by_number else next(iter(self.complete), None)

    @cached_property
    def finished(self) -> list[FrozenTrial]:
        """The COMPLETE, PRUNED and FAIL trials, in the order in which they finished."""
        finished = [trial for trial in self.trials if trial.state.is_finished()]
        return sorted(finished, key=lambda trial: (trial.datetime_complete or datetime.max, trial.number))

    @cached_property
    def counts(self) -> Counter[str]:
        """The number of trials by state."""
        return Counter(trial.state.name for trial in self.trials)

    @cached_property
    def parameter_names(self) -> list[str]:
        """The names of the parameters, in the order in which trials first had them."""
        return list(dict.fromkeys(name for trial in self.trials for name in trial.params))

    def in_state(self, *states: str) -> list[FrozenTrial]:
        """Return the trials in some states.

        Args:
            states: Names of states.

        Returns:
            The trials, by number.
        """
        return [trial for trial in self.trials if trial.state.name in states]

    def score(self, trial: FrozenTrial) -> float:
        """Return a trial's score.

        Args:
            trial: A trial of the study.

        Returns:
            The value of a COMPLETE trial, else the last reported one; NaN without any.
        """
        if trial.state == TrialState.COMPLETE and trial.values:
            return float(trial.values[self.objective])
        if self.monitor is not None:  # what was reported is another metric
            last = (epochs(trial) or [{}])[-1].get(self.metric)
            return float(last) if isinstance(last, int | float) else math.nan
        reported = trial.intermediate_values if self.objective == 0 else {}  # they are of the first objective
        return reported[max(reported)] if reported else math.nan

    def shown_score(self, trial: FrozenTrial) -> float | str:
        """Return a trial's score, as text with the standard deviation over its runs if it has several."""
        spreads = deviations(trial)
        score = self.score(trial)
        return f"{short(score)} ± {spreads[self.objective]:.2g}" if self.objective < len(spreads) else score

    @property
    def monitor(self) -> str | None:
        """The metric that trials report for the pruner, where it is not the objective's."""
        monitor = section(self.settings, "pruner").get("monitor")
        return monitor if isinstance(monitor, str) else None

    def rank(self, trial: FrozenTrial) -> tuple[float, int]:
        """Return a key that sorts trials best first.

        Args:
            trial: A trial of the study.

        Returns:
            The key; trials without a score are last, ties are by number.
        """
        score = self.score(trial)
        return (math.inf if math.isnan(score) else -score if self.maximize else score), trial.number

    @cached_property
    def num_runs(self) -> int:
        """The number of runs of each trial; if there are several, trials report a score per run, not per epoch."""
        space = section(self.settings, "space")
        counts = [space.get(key) for key in ("repeats", "cross_validation")]
        return math.prod(count for count in counts if isinstance(count, int) and count > 0)

    @property
    def step(self) -> str:
        """What one reported value is of: a run or an epoch."""
        return "run" if self.num_runs > 1 else "epoch"

    def planned_epochs(self, trial: FrozenTrial) -> int:
        """Return the epochs that a trial trains unless it is pruned or fails.

        Args:
            trial: A trial of the study.

        Returns:
            The number of epochs over all of its runs.
        """
        space = section(self.settings, "space")
        for name, parameter in section(space, "space").items():
            if isinstance(parameter, dict) and parameter.get("key") == "training.epochs" and name in trial.params:
                return self.num_runs * int(trial.params[name])
        fixed = section(section(space, "fixed"), "training").get("epochs")
        if isinstance(fixed, int):
            return self.num_runs * fixed
        return self.num_runs * TrainingConfig().epochs if space and not self.is_function else self._most_epochs

    @cached_property
    def _most_epochs(self) -> int:
        return max((num_epochs(trial) for trial in self.trials), default=0)


def read_data(study: optuna.Study) -> StudyData:
    """Read a study with one query for its trials.

    Args:
        study: The study.

    Returns:
        The study with its trials.
    """
    user_attrs = study.user_attrs
    return StudyData(
        name=study.study_name,
        metrics=metric_names(user_attrs, len(study.directions)),
        directions=study.directions,
        user_attrs=user_attrs,
        trials=_with_consistent_params(study.get_trials(deepcopy=False)),
    )


def _with_consistent_params(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """Drop params whose distribution is of another type than those of `sweep run` (else of the first trial)."""
    known: dict[str, BaseDistribution] = {}
    for trial in sorted(trials, key=lambda trial: not is_ours(trial)):
        known = {**trial.distributions, **known}
    return [without_foreign_params(trial, known) for trial in trials]


def num_epochs(trial: FrozenTrial) -> int:
    """Return the number of epochs that a trial trained."""
    stored = trial.user_attrs.get("history")
    return max(len(trial.intermediate_values), len(stored) if isinstance(stored, list) else 0)


def number(value: Any) -> float:
    """Convert a stored value to a float; NaN if it is not a number."""
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else math.nan


def epoch_seconds(trial: FrozenTrial) -> float:
    """Return the total time of a trial's epochs in seconds."""
    seconds = (number(epoch.get("seconds")) for epoch in epochs(trial))
    return sum(one for one in seconds if math.isfinite(one))


def trial_seconds(trial: FrozenTrial) -> float:
    """Return the time from a trial's start to its end in seconds; 0 if it has not ended."""
    return max(0.0, trial.duration.total_seconds()) if trial.duration is not None else 0.0


def best_so_far(data: StudyData, trials: list[FrozenTrial]) -> list[float]:
    """Compute the best value after each trial.

    Args:
        data: The study.
        trials: Trials in any order.

    Returns:
        For each trial, the best value of the COMPLETE ones up to it; NaN before the first.
    """
    best, values = math.nan, []
    for trial in trials:
        score = data.score(trial) if trial.state == TrialState.COMPLETE else math.nan
        if math.isfinite(score) and (math.isnan(best) or (score > best if data.maximize else score < best)):
            best = score
        values.append(best)
    return values
