"""Which trials' configs `sweep confirm` trains, and from which seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.config.study_settings import SETTINGS
from sweep.config.trial import TrialConfig
from sweep.errors import StudyError
from sweep.plugins.users_code import UsersCode
from sweep.results.export import ranked_trials, trial_config
from sweep.results.stored_study import StoredStudy
from sweep.space.runs import RunPlan, derived_seed, with_fresh_seed
from sweep.space.space import Space
from sweep.storage.stored_trials import code_digest

FIRST_SEED = 2**31  # trials are numbered below: a stream of seeds of its own


@dataclass(frozen=True)
class ConfirmPlan:
    """The candidates in the order of the sweep, and the seeds of each."""

    space: Space
    configs: Mapping[int, TrialConfig]  # by trial, the best first
    scores: Mapping[int, float]  # in the sweep, by trial
    seeds: Sequence[int]
    codes: Mapping[int, str]  # digests of the user's code, by trial; "" where that is unknown

    @property
    def metric(self) -> str:
        """What is compared."""
        return self.space.metrics[0]

    @property
    def num_folds(self) -> int:
        """Runs from a seed: one, or one for each fold."""
        return self.space.study.cross_validation or 1

    @property
    def num_runs(self) -> int:
        """Of all candidates and seeds."""
        return len(self.configs) * len(self.seeds) * self.num_folds

    def code_change(self, now: UsersCode | None) -> str | None:
        """How the user's code differs from what trained candidates; None if it does not, or if that is unknown."""
        if now is None or not now.digest:
            return None
        changed = [f"trial {trial} by {code}" for trial, code in self.codes.items() if code not in ("", now.digest)]
        if not changed:
            return None
        return f"the code of {now} has changed since the sweep trained {', '.join(changed)}; it is {now.digest}"

    def runs(self, trial: int, seed: int) -> tuple[TrialConfig, ...]:
        """The configs to train; the metric's mean over them is the seed's score."""
        plan = RunPlan(cross_validation=self.space.study.cross_validation)
        return plan.runs(with_fresh_seed(self.configs[trial], seed))


def plan_confirmation(stored: StoredStudy, top: int, num_seeds: int, *, again: bool = False) -> ConfirmPlan:
    """The `top` best COMPLETE trials by score, and seeds that are the same for all; never fewer seeds than are stored.

    StudyError or InputError if the study has no such trials.
    """
    if SETTINGS not in stored.study.user_attrs:
        raise StudyError(f"study {stored.name} was not made by `sweep run`; there is no config to train")
    space = stored.space
    if space.function is not None:
        raise StudyError(f"study {stored.name} is of the function {space.function}, which no seed changes")
    if len(space.metrics) > 1:
        raise StudyError(f"study {stored.name} has several objectives; only one has a best trial to confirm")
    trials = ranked_trials(stored)[:top]
    before = None if again else stored.confirmation
    return ConfirmPlan(
        space=space,
        configs={trial.number: trial_config(stored, trial)[0] for trial in trials},
        scores={trial.number: trial.value or 0.0 for trial in trials},
        seeds=fresh_seeds(stored.settings.seed, max(num_seeds, len(before.seeds) if before else 0)),
        codes={trial.number: code_digest(trial) for trial in trials},
    )


def fresh_seeds(study_seed: int, num_seeds: int) -> list[int]:
    """No trial's seeds but by chance; the first n are the same for every larger number."""
    return [derived_seed(study_seed, FIRST_SEED + number) for number in range(num_seeds)]
