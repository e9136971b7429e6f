"""Ask a study for the trials of free lanes: sample their params, and make their runs."""

from collections.abc import Callable
from dataclasses import dataclass

import optuna
from optuna.trial import TrialState

from sweep.config.function import RunConfig
from sweep.errors import Cause, SpaceError, message_of
from sweep.space.runs import derived_seed
from sweep.space.space import Space
from sweep.tuning.beginning import recheck_seed
from sweep.tuning.failures import Failure, FailureStreak
from sweep.tuning.study import SweepStudy
from sweep.tuning.suggester import note_relative_params
from sweep.tuning.trial_recorder import TrialRecorder


@dataclass(frozen=True)
class Asked:
    """A new trial, as returned by `Asker.ask`.

    Attributes:
        number: Number of the trial.
        runs: The configs to train; empty if the trial was set to FAIL, as its params are invalid.
    """

    number: int
    runs: tuple[RunConfig, ...] = ()


class Asker:
    """Ask a study for trials. Only the study is changed, so that a draft can be undone.

    Args:
        study: The study.
        space: Samples the params and makes the runs.
        recorder: Records trials that fail.
        failures: Decides when too many trials have failed.
        seed: The study's seed, from which the trials' seeds are derived.
    """

    def __init__(
        self, study: SweepStudy, space: Space, recorder: TrialRecorder, failures: FailureStreak, seed: int
    ) -> None:
        self._study, self._space, self._recorder, self._failures = study, space, recorder, failures
        self._seed = seed

    def ask(self, may_ask: Callable[[int], bool]) -> list[Asked]:
        """Ask for trials inside a draft or transaction of the study.

        Args:
            may_ask: Called with the number of asked trials that need a lane; returns whether to ask for another one.

        Returns:
            The trials.
        """
        asked: list[Asked] = []
        is_too_long = False
        while not is_too_long and may_ask(sum(bool(one.runs) for one in asked)):
            asked.append(self._ask_next())
            is_too_long = not asked[-1].runs and self._failures.would_end(asked[-1].number)
        return asked

    def _ask_next(self) -> Asked:
        trial = self._study.ask_next()
        recheck = recheck_seed(self._study.write_behind.get_trial(trial.number))
        seed = derived_seed(self._seed, trial.number) if recheck is None else recheck
        trial.set_user_attr("seed", seed)
        if self._space.is_own_function:
            note_relative_params(self._study, trial)
        try:
            return Asked(trial.number, self._space.runs(self._study.suggest(trial), seed, trial.number))
        except (SpaceError, ValueError) as error:
            return self._failed(trial, str(error))
        except Exception as error:  # an enqueued trial may have any params
            if not self._study.write_behind.is_stored(trial.number):
                raise
            return self._failed(trial, f"{type(error).__name__}: {message_of(error)}")

    def _failed(self, trial: optuna.Trial, error: str) -> Asked:
        self._recorder.failed(trial.number, Failure(Cause.BUILD_ERROR, error))
        self._recorder.ended(trial.number, TrialState.FAIL)
        return Asked(trial.number)
