"""Plan `sweep confirm`: which trials' configs are trained, and with which seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from sweep.config.function import FunctionConfig, RunConfig
from sweep.config.study_settings import SETTINGS
from sweep.errors import StudyError
from sweep.plugins.user_code import UserCode
from sweep.results.export import ranked_trials, trial_config
from sweep.results.stored_study import StoredStudy
from sweep.space.runs import RunPlan, derived_seed, with_fresh_seed
from sweep.space.space import Space
from sweep.storage.stored_trials import code_digest

FIRST_SEED = 2**31  # seeds of trials are derived from their numbers, which are smaller


@dataclass(frozen=True)
class ConfirmPlan:
    """The trials that are trained again, the candidates, and the seeds, which are the same for all of them.

    Attributes:
        space: The study's space.
        configs: The candidates' configs by trial number, best score first.
        scores: The candidates' scores in the sweep by trial number.
        seeds: The seeds.
        codes: Digests of the user code that trained each trial; "" where it is unknown.
    """

    space: Space
    configs: Mapping[int, RunConfig]
    scores: Mapping[int, float]
    seeds: Sequence[int]
    codes: Mapping[int, str]

    @property
    def metric(self) -> str:
        """The metric that is compared."""
        return self.space.metrics[0]

    @property
    def num_folds(self) -> int:
        """The number of runs for each seed: 1, or the number of folds."""
        return self.space.study.cross_validation or 1

    @property
    def num_runs(self) -> int:
        """The number of runs of all candidates and seeds."""
        return len(self.configs) * len(self.seeds) * self.num_folds

    def code_change(self, now: UserCode | None) -> str | None:
        """Describe how the user code differs from the code that trained the candidates.

        Args:
            now: The code as it is now; None without user code.

        Returns:
            A sentence; None if nothing differs or the difference is unknown.
        """
        if now is None or not now.digest:
            return None
        changed = [f"trial {trial} by {code}" for trial, code in self.codes.items() if code not in ("", now.digest)]
        if not changed:
            return None
        return f"the code of {now} has changed since the sweep trained {', '.join(changed)}; it is {now.digest}"

    def runs(self, trial: int, seed: int) -> tuple[RunConfig, ...]:
        """Return the configs to train for a candidate and a seed; the mean of their metric is the seed's score.

        Args:
            trial: The candidate's trial number.
            seed: The seed.

        Returns:
            One config, or one for each fold.
        """
        config = self.configs[trial]
        if isinstance(config, FunctionConfig):
            return (config.model_copy(update={"seed": seed}),)
        plan = RunPlan(cross_validation=self.space.study.cross_validation)
        return plan.runs(with_fresh_seed(config, seed))


def plan_confirmation(stored: StoredStudy, top: int, num_seeds: int, *, again: bool = False) -> ConfirmPlan:
    """Choose the best COMPLETE trials by score, and the seeds.

    Args:
        stored: The study.
        top: Number of trials.
        num_seeds: Number of seeds; if scores of more seeds are stored, all those are kept.
        again: Ignore the stored scores.

    Returns:
        The plan.

    Raises:
        StudyError: The study's trials cannot be confirmed.
        InputError: No trial is COMPLETE.
    """
    if SETTINGS not in stored.study.user_attrs:
        raise StudyError(
            f"study {stored.name} was not made by `sweep run`, so it has no configs to train; pass another study"
        )
    space = stored.space
    if space.function is not None and not space.is_own_function:
        raise StudyError(
            f"study {stored.name} is of the function {space.function}, which uses no seed; pass another study"
        )
    if len(space.metrics) > 1:
        raise StudyError(
            f"study {stored.name} is multi-objective and has no single best trial; pass a single-objective study"
        )
    trials = ranked_trials(stored)[:top]
    before = None if again else stored.confirmation
    return ConfirmPlan(
        space=space,
        configs={trial.number: _config(stored, trial) for trial in trials},
        scores={trial.number: trial.value or 0.0 for trial in trials},
        seeds=confirmation_seeds(stored.settings.seed, max(num_seeds, len(before.seeds) if before else 0)),
        codes={trial.number: code_digest(trial) for trial in trials},
    )


def _config(stored: StoredStudy, trial: FrozenTrial) -> RunConfig:
    """Return the config that a trial trained, or its call of the user's function."""
    if stored.space.function is None:
        return trial_config(stored, trial)[0]
    (config,) = stored.space.runs(trial.params, trial.user_attrs["seed"], trial.number)
    assert isinstance(config, FunctionConfig)
    suggested = {name: value for name, value in trial.params.items() if name not in stored.space.parameters}
    return config.model_copy(update={"suggested": suggested})


def confirmation_seeds(study_seed: int, num_seeds: int) -> list[int]:
    """Derive the seeds for confirmation from the study's seed.

    Args:
        study_seed: The study's seed.
        num_seeds: How many seeds.

    Returns:
        Seeds that differ from the trials' seeds (up to chance); the first n are the same for every larger `num_seeds`.
    """
    return [derived_seed(study_seed, FIRST_SEED + number) for number in range(num_seeds)]
