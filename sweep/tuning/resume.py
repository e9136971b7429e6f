"""Resumes the trials that were RUNNING when an earlier process ended, and leaves them so that the next one can."""

from collections.abc import Callable

from optuna.trial import FrozenTrial, TrialState

from sweep.errors import Cause
from sweep.space.space import Space
from sweep.storage import Wait
from sweep.tuning.failures import Failure
from sweep.tuning.resume_plan import Repeat, ResumePlan
from sweep.tuning.running_trial import num_starts, num_stored_epochs
from sweep.tuning.running_trials import RunningTrials
from sweep.tuning.study import SweepStudy
from sweep.tuning.transactions import Transactions
from sweep.tuning.trial_recorder import TrialRecorder

MAX_STARTS = 2  # of one epoch of a trial by processes that died in it, and the trial is FAIL(killed)


class Resume:
    """Carries out a `ResumePlan`: finds the interrupted trials, and starts each in its round."""

    def __init__(
        self,
        study: SweepStudy,
        space: Space,
        trials: RunningTrials,
        recorder: TrialRecorder,
        transactions: Transactions,
        plan: ResumePlan,
        *,
        counts_starts: bool,
    ) -> None:
        """Create the resumption of a study.

        Args:
            study: The study to resume.
            space: Gives the runs of a trial from its stored params.
            trials: Where the repeated trials take their lanes.
            recorder: Records the starts of a trial.
            transactions: Of the study.
            plan: Filled by `find`, and followed by `start_due`.
            counts_starts: Whether a trial that kills its process kills this one; it fails after `MAX_STARTS`.

        """
        self._study, self._space, self._trials, self._recorder = study, space, trials, recorder
        self._transactions, self._plan, self._counts_starts = transactions, plan, counts_starts

    def find(self) -> list[int]:
        """Plan to repeat the interrupted trials; set one that was killed twice in the same epoch to FAIL.

        Returns:
            The numbers of the trials that will be repeated.

        """
        with self._transactions.begin():
            for trial in self._study.frozen_trials(TrialState.RUNNING):
                if self._study.write_behind.is_ours(trial.number):  # else it runs elsewhere
                    self._repeat_or_fail(trial)
        return self._plan.numbers

    def start_due(self) -> None:
        """Start the trials whose round has come."""
        for repeat in self._plan.due(is_idle=not self._trials):
            if repeat.num_stored == 0:
                self._count_first_start(repeat.number)
            if self._plan.discard(repeat.number):
                self._trials.start(self._trials.take_lane(repeat.number, repeat.runs, repeat.num_stored))

    def mark_drained(self, wait: Wait | None, end_within: Callable[[SweepStudy], None]) -> None:
        """Leave the running trials RUNNING, without counting this end of the process against them.

        Args:
            wait: How long to wait for a locked database; None for the usual time.
            end_within: Called with the study in the same transaction.

        """
        if not self._study.write_behind.is_out_of_step:
            with self._transactions.begin(wait):
                for running in self._trials:
                    self._recorder.count_start(running.number, -1)
                end_within(self._study)

    def _repeat_or_fail(self, trial: FrozenTrial) -> None:
        is_too_often = self._counts_starts and num_starts(trial) >= MAX_STARTS
        if is_too_often and not self._study.ended_in_order:
            error = "the process ended twice in the same epoch of this trial; --workers 1 survives that"
            self._trials.fail(trial.number, Failure(Cause.KILLED, error))
            return
        runs = self._space.runs(trial.params, trial.user_attrs["seed"], trial.number)
        self._plan.add(Repeat(trial.number, runs, num_stored_epochs(trial)))
        self._study.note_code(trial.number)
        if is_too_often:  # the database could not be written when that process ended normally
            self._recorder.count_start(trial.number, -1)

    def _count_first_start(self, number: int) -> None:
        with self._transactions.begin():
            if number in self._plan:
                self._recorder.count_start(number, +1)
