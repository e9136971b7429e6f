"""Write a trial's epochs, its state and values, why it failed, and which code trained it."""

import math

from optuna.trial import TrialState

from sweep.engines.base import EpochRecord, OwnReport
from sweep.errors import FAILURE_ATTRS
from sweep.pareto import RUN_VALUES
from sweep.tuning.failures import Failure
from sweep.tuning.reported import Reported
from sweep.tuning.running_trial import ATTEMPTS, EPOCHS, STARTS, RunningTrial, num_starts, num_stored_epochs
from sweep.tuning.study import SweepStudy


class TrialRecorder:
    """Write to the study. Every method that writes is called inside a transaction.

    Args:
        study: The study.
        reported: What trials report to Optuna.
        counts_starts: Whether to store how often processes began a trial's next epoch, which finds a trial that kills
            its process. Needed only if trials are trained in this process.
    """

    def __init__(self, study: SweepStudy, reported: Reported, *, counts_starts: bool) -> None:
        self._study, self._reported, self._counts_starts = study, reported, counts_starts
        self._storage = study.write_behind
        self._edited: set[str] = set()  # digests of user code that was edited during the sweep

    def count_start(self, number: int, change: int) -> None:
        """Add `change` to the number of processes that began the trial's next epoch and did not exit normally."""
        if self._counts_starts:
            trial = self._storage.get_trial(number)
            value = {"epoch": num_stored_epochs(trial), "count": num_starts(trial) + change}
            self._storage.set_trial_system_attr(number, STARTS, value)

    def retried(self, number: int, attempt: int) -> None:
        """Store the number of the attempt, after another worker has started the trial again."""
        self._storage.set_trial_system_attr(number, ATTEMPTS, attempt)

    def trained_by(self, running: RunningTrial, digest: str) -> str | None:
        """Store the digest of the user code that trains a trial, if it was edited and a new worker imported it.

        Args:
            running: The trial.
            digest: The digest that the worker reported; "" without user code.

        Returns:
            A notice for the user, once for each digest; None if there is nothing to report.
        """
        code = self._study.code
        if code is None or not code.digest or digest in ("", running.code or code.digest):
            return None
        running.code = digest
        self._study.note_code(running.number, digest)
        if digest in self._edited:
            return None
        self._edited.add(digest)
        return (
            f"the code of {code} was edited during the sweep: trial {running.number} is trained by {digest}, as "
            f"are others of workers that start from now on; earlier ones were by {code.digest}"
        )

    def difference(self, running: RunningTrial, metrics: EpochRecord) -> str | None:
        """Return a notice if a user's own loop, which is repeated, does not report what is stored of it."""
        if metrics.own is None or running.num_epochs > running.num_stored or running.num_stored == 0:
            return None
        stored = self._storage.get_trial(running.number).intermediate_values
        if metrics.own.step is None:
            if running.num_epochs == running.num_stored:
                return None
            what = f"it ended after {running.num_epochs} of {running.num_stored} stored reports"
        else:
            value, before = self._reported.of_epoch(metrics), stored.get(metrics.own.step)
            if before is not None and (value == before or (math.isnan(value) and math.isnan(before))):
                return None
            what = f"step {metrics.own.step} gave {value:g}, stored is {'nothing' if before is None else f'{before:g}'}"
        return f"trial {running.number} does not reproduce: {what}; let every random number follow from trial.seed"

    def epoch_ended(self, running: RunningTrial, metrics: EpochRecord) -> bool:
        """Record an epoch. Return whether a value was reported: that of the epoch, or with several runs of a run."""
        if metrics.own is not None:
            return self._own_report(running.number, metrics, metrics.own)
        if len(running.runs) == 1:
            self._report(running.number, metrics.epoch, self._reported.of_epoch(metrics))
            return True
        self._storage.set_trial_system_attr(running.number, EPOCHS, running.num_epochs)
        if running.is_between_runs:
            self._report(running.number, len(running.values), self._reported.of_run(running.histories[-1]))
        return running.is_between_runs

    def failed(self, number: int, failure: Failure) -> None:
        """Store why a trial failed; `ended` sets the state."""
        for key, value in zip(FAILURE_ATTRS, failure.attrs(), strict=True):
            if value:
                self._storage.set_trial_user_attr(number, key, value)

    def ended(
        self, number: int, state: TrialState, values: list[float] | None = None, running: RunningTrial | None = None
    ) -> None:
        """Set a trial to a final state, and store its epochs.

        Args:
            number: Number of the trial.
            state: The state.
            values: The value of each objective; None without values.
            running: The trial with its epochs; None if it was not trained.
        """
        if running is not None:
            self._storage.set_trial_user_attr(number, "history", running.records())
            if state == TrialState.COMPLETE and len(running.runs) > 1:
                self._storage.set_trial_user_attr(number, RUN_VALUES, running.values)
        self._study.tell_number(number, state, values)

    def _own_report(self, number: int, metrics: EpochRecord, own: OwnReport) -> bool:
        for key, value in own.attrs.items():
            self._storage.set_trial_user_attr(number, key, value)
        if own.step is not None:
            self._storage.set_trial_intermediate_value(number, own.step, self._reported.of_epoch(metrics))
        return own.step is not None

    def _report(self, number: int, count: int, value: float) -> None:
        """Report a value; `count` is the epoch or the run, from 1."""
        self._storage.set_trial_intermediate_value(number, self._study.first_step + count - 1, value)
