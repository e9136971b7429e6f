"""Start the trials on lanes, handle their events, and finish them."""

import copy
from collections.abc import Callable, Iterator, Sequence

from optuna.trial import FrozenTrial, TrialState

from sweep.config.function import RunConfig
from sweep.engines.base import EpochRecord, not_finite_line
from sweep.errors import Cause
from sweep.executors.base import Event, FailureContext, Kept, LaneLost, LaneRetried
from sweep.executors.lanes import Lanes
from sweep.metrics import TIMING
from sweep.space.runs import trial_values
from sweep.tuning.callback import Callback
from sweep.tuning.callback_list import CallbackList
from sweep.tuning.failures import Failure, FailureStreak
from sweep.tuning.running_trial import RunningTrial
from sweep.tuning.study import SweepStudy
from sweep.tuning.trial_recorder import TrialRecorder


class RunningTrials:
    """Record the events of trials on lanes, report them to the callbacks, and finish trials.

    `follow`, `fail` and `ended` are called inside a transaction of the study.

    Args:
        study: The study.
        objectives: The metric of each objective.
        lanes: The lanes of the executor.
        recorder: Writes to the study.
        failures: Counts failed trials.
        callbacks: The callbacks.
        notice: Called with each notice for the user.
    """

    def __init__(
        self,
        study: SweepStudy,
        objectives: Sequence[str],
        lanes: Lanes[RunningTrial],
        recorder: TrialRecorder,
        failures: FailureStreak,
        callbacks: CallbackList,
        notice: Callable[[str], None],
        keeps: Kept = "",
    ) -> None:
        """`keeps` names what will be asked for when a run has ended."""
        self._study, self._objectives, self._lanes, self._recorder = study, objectives, lanes, recorder
        self._failures, self._callbacks, self._notice, self._keeps = failures, callbacks, notice, keeps

    def __iter__(self) -> Iterator[RunningTrial]:
        return iter(self._lanes)

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def num_free(self) -> int:
        """Return the number of lanes without a trial."""
        return self._lanes.num_free

    def take_lane(self, number: int, runs: tuple[RunConfig, ...], num_stored: int = 0) -> RunningTrial:
        """Reserve a lane for a trial, which is not trained before `start`.

        Args:
            number: Number of the trial.
            runs: Its configs.
            num_stored: Number of its stored epochs, which are repeated and not reported again.
        """
        running = RunningTrial(number, runs, num_stored)
        self._lanes.take(running)
        return running

    def start(self, running: RunningTrial) -> None:
        """Start a trial's first run."""
        trial = self._study.write_behind.get_trial(running.number)
        self._callbacks.post(lambda callback: callback.on_trial_start(_own_copy(callback, trial)))
        self._callbacks.deliver()
        self._lanes.start(running, running.begin_run(), keeps=self._keeps)

    def start_next_runs(self) -> None:
        """Start the next run of each trial whose last run has ended and been stored."""
        for running in self._lanes:
            if running.is_between_runs:
                self._lanes.start_next(running, running.begin_run(), keeps=self._keeps)

    def drop(self, number: int) -> None:
        """Stop training a trial that another program has finished."""
        for running in self._lanes:
            if running.number == number:
                self._lanes.free(running)

    def follow(self, running: RunningTrial, event: Event) -> None:
        """Handle an event of a trial's lane; do nothing if the lane was freed."""
        if running not in self._lanes:
            return
        if isinstance(event, LaneRetried):
            self._notice(f"trial {running.number}: {event.error}; attempt {event.attempt} repeats its epochs")
            self._recorder.retried(running.number, event.attempt)
            return
        edited = self._recorder.trained_by(running, event.code)
        if edited is not None:
            self._notice(edited)
        if isinstance(event, LaneLost):
            self.fail(running.number, Failure.of(event), running)
        else:
            self._report(running, event.metrics, event.context)

    def fail(self, number: int, failure: Failure, running: RunningTrial | None = None) -> None:
        """Set a trial to FAIL.

        Args:
            number: Number of the trial.
            failure: Why it failed.
            running: The trial on its lane; None if it has no lane.
        """
        self._recorder.failed(number, failure)
        self._end(number, TrialState.FAIL, None, running)
        self._failures.count(number)

    def ended(self, number: int) -> None:
        """Report to the callbacks that a trial is finished in the study."""
        trial = self._study.write_behind.get_trial(number)
        self._callbacks.post(lambda callback: callback.on_trial_end(_own_copy(callback, trial)))

    def _report(self, running: RunningTrial, metrics: EpochRecord, where: FailureContext | None) -> None:
        running.add(metrics, self._objectives)
        if not running.differs and (difference := self._recorder.difference(running, metrics)):
            running.differs = True
            self._notice(difference)
        ends_trial = metrics.is_last and len(running.histories) == len(running.runs)  # that is not stored yet
        if running.num_epochs <= running.num_stored and not ends_trial:
            if running.num_epochs == running.num_stored:
                self._recorder.count_start(running.number, +1)
            return
        if metrics.is_epoch:
            self._post_epoch(running.number, metrics, len(running.histories))
        has_reported = self._recorder.epoch_ended(running, metrics)
        if metrics.not_finite():
            self.fail(running.number, Failure.at(where, Cause.NAN, not_finite_line(metrics)), running)
        elif metrics.is_pruned:
            self._end(running.number, TrialState.PRUNED, None, running)
        elif len(running.values) == len(running.runs):
            self._end(running.number, TrialState.COMPLETE, trial_values(running.values), running)
        elif has_reported and metrics.may_prune and self._study.should_prune(running.number):
            self._end(running.number, TrialState.PRUNED, None, running)

    def _post_epoch(self, number: int, metrics: EpochRecord, run: int) -> None:
        logs = {**metrics.logs, TIMING: metrics.seconds}
        self._callbacks.post(lambda callback: callback.on_epoch_end(number, metrics.epoch, logs, run))

    def _end(self, number: int, state: TrialState, values: list[float] | None, running: RunningTrial | None) -> None:
        self._recorder.ended(number, state, values, running)
        if running is not None:
            self._lanes.free(running)
        self.ended(number)


def _own_copy(callback: Callback, trial: FrozenTrial) -> FrozenTrial:
    """Return a copy of the trial for a user's callback, so that its changes have no effect."""
    return trial if callback.ends_sweep else copy.deepcopy(trial)
