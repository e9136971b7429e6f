"""What a report takes from a study: read once, and defensively, as other programs may have written into it too."""

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
from sweep.pareto import metric_names, pareto_front
from sweep.results.confirmation import Confirmation, read_confirmation
from sweep.storage.digest import is_ours
from sweep.storage.set_aside import without_foreign_params
from sweep.storage.stored_trials import epochs, section


@dataclass(frozen=True)
class StudyData:
    """A study with its trials by number, not copied: do not change them.

    Of several objectives it is looked at by one, the first unless another one is chosen by `of_objective`.
    """

    name: str
    metrics: list[str]
    directions: list[StudyDirection]
    user_attrs: dict[str, Any]
    trials: list[FrozenTrial]
    objective: int = 0

    @property
    def metric(self) -> str:
        """Of the objective."""
        return self.metrics[self.objective]

    @property
    def maximize(self) -> bool:
        """Whether more of it is better."""
        return self.directions[self.objective] == StudyDirection.MAXIMIZE

    def of_objective(self, number: int) -> "StudyData":
        """The same, looked at by another objective."""
        return replace(self, objective=number)

    @cached_property
    def pareto_front(self) -> list[FrozenTrial]:
        """The COMPLETE trials with finite values that no other one beats, best first in the first objective."""
        finite = [trial for trial in self.complete if all(map(math.isfinite, trial.values or ()))]
        return pareto_front(finite, self.directions)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What `sweep run` stored; empty for a study of another program."""
        return section(self.user_attrs, "sweep")

    @property
    def is_function(self) -> bool:
        """Whether the objective is a plain function, so that nothing was trained."""
        return "function" in section(self.settings, "space")

    @cached_property
    def confirmation(self) -> Confirmation | None:
        """What `sweep confirm` stored."""
        return read_confirmation(self.user_attrs)

    @cached_property
    def complete(self) -> list[FrozenTrial]:
        """COMPLETE trials with a finite value, best first."""
        finite = [trial for trial in self.in_state("COMPLETE") if math.isfinite(self.score(trial))]
        return sorted(finite, key=self.rank)

    @cached_property
    def winner(self) -> FrozenTrial | None:
        """The confirmed one, else the best score's; None if no trial is COMPLETE."""
        confirmed = [one.trial for one in self.confirmation.ranking] if self.confirmation else []
        by_number = {trial.number: trial for trial in self.complete}
        return by_number[confirmed[0]] if confirmed and confirmed[0] in by_number else next(iter(self.complete), None)

    @cached_property
    def finished(self) -> list[FrozenTrial]:
        """COMPLETE, PRUNED and FAIL, in the order in which they ended."""
        finished = [trial for trial in self.trials if trial.state.is_finished()]
        return sorted(finished, key=lambda trial: (trial.datetime_complete or datetime.max, trial.number))

    @cached_property
    def counts(self) -> Counter[str]:
        """State -> trials."""
        return Counter(trial.state.name for trial in self.trials)

    @cached_property
    def parameter_names(self) -> list[str]:
        """In the order in which trials first had them."""
        return list(dict.fromkeys(name for trial in self.trials for name in trial.params))

    def in_state(self, *states: str) -> list[FrozenTrial]:
        """The trials in these states, by number."""
        return [trial for trial in self.trials if trial.state.name in states]

    def score(self, trial: FrozenTrial) -> float:
        """The value, or the last reported one; NaN without any."""
        if trial.state == TrialState.COMPLETE and trial.values:
            return float(trial.values[self.objective])
        reported = trial.intermediate_values if self.objective == 0 else {}  # which are of the first one
        return reported[max(reported)] if reported else math.nan

    def rank(self, trial: FrozenTrial) -> tuple[float, int]:
        """Sorts best first, without a score last."""
        score = self.score(trial)
        return (math.inf if math.isnan(score) else -score if self.maximize else score), trial.number

    @cached_property
    def num_runs(self) -> int:
        """Of each trial; those of several report each run's score instead of each epoch's."""
        space = section(self.settings, "space")
        counts = [space.get(key) for key in ("repeats", "cross_validation")]
        return math.prod(count for count in counts if isinstance(count, int) and count > 0)

    @property
    def step(self) -> str:
        """What a reported value belongs to."""
        return "run" if self.num_runs > 1 else "epoch"

    def planned_epochs(self, trial: FrozenTrial) -> int:
        """The epochs that the trial would have had if it was neither pruned nor failed."""
        space = section(self.settings, "space")
        for name, parameter in section(space, "space").items():
            if isinstance(parameter, dict) and parameter.get("key") == "training.epochs" and name in trial.params:
                return self.num_runs * int(trial.params[name])
        fixed = section(section(space, "fixed"), "training").get("epochs")
        if isinstance(fixed, int):
            return self.num_runs * fixed
        return self.num_runs * TrainingConfig().epochs if space else self._most_epochs

    @cached_property
    def _most_epochs(self) -> int:
        return max((num_epochs(trial) for trial in self.trials), default=0)


def read_data(study: optuna.Study) -> StudyData:
    """All of it by one query of the trials."""
    user_attrs = study.user_attrs
    return StudyData(
        name=study.study_name,
        metrics=metric_names(user_attrs, len(study.directions)),
        directions=study.directions,
        user_attrs=user_attrs,
        trials=_with_params_of_one_kind(study.get_trials(deepcopy=False)),
    )


def _with_params_of_one_kind(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """A figure has one axis for a parameter: that of our trials, or else of the first one."""
    known: dict[str, BaseDistribution] = {}
    for trial in sorted(trials, key=lambda trial: not is_ours(trial)):
        known = {**trial.distributions, **known}
    return [without_foreign_params(trial, known) for trial in trials]


def num_epochs(trial: FrozenTrial) -> int:
    """Epochs that the trial trained."""
    stored = trial.user_attrs.get("history")
    return max(len(trial.intermediate_values), len(stored) if isinstance(stored, list) else 0)


def number(value: Any) -> float:
    """The value as a number, NaN where it is none."""
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else math.nan


def epoch_seconds(trial: FrozenTrial) -> float:
    """Seconds that the trial's epochs took."""
    seconds = (number(epoch.get("seconds")) for epoch in epochs(trial))
    return sum(one for one in seconds if math.isfinite(one))


def trial_seconds(trial: FrozenTrial) -> float:
    """Seconds from the trial's start to its end; 0 while it has none."""
    return max(0.0, trial.duration.total_seconds()) if trial.duration is not None else 0.0


def best_so_far(data: StudyData, trials: list[FrozenTrial]) -> list[float]:
    """After each of the trials, the best value of a COMPLETE one; NaN before the first."""
    best, values = math.nan, []
    for trial in trials:
        score = data.score(trial) if trial.state == TrialState.COMPLETE else math.nan
        if math.isfinite(score) and (math.isnan(best) or (score > best if data.maximize else score < best)):
            best = score
        values.append(best)
    return values
