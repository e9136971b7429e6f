"""ask -> start lane -> report / prune -> tell: the only loop that talks to the study.

A round is one `wait` of the executor. Everything a round brought is told in one transaction, in the order of trial
numbers, so the study in the database always stands between two rounds, and a resumed study equals the unbroken one:
trials that were RUNNING keep their numbers and are trained again, unreported, up to their last stored epoch. Lanes
that stood at different epochs start their repetition in different rounds and arrive together.

A trial is one run on one lane here; folds and repeats will be several runs whose metrics are put together before
`_report`.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

from optuna.trial import FrozenTrial, TrialState

from sweep.dashboard_notes import LearningCurves, note_failure
from sweep.engines.base import RunMetrics, run_values
from sweep.errors import FAILURE_ATTRS, Cause, Interrupted, SpaceError, StudyError, SweepStopped
from sweep.executors.base import Circumstances, EpochDone, Event, Executor, LaneLost, LaneRetried, circumstances
from sweep.function_config import RunConfig
from sweep.interruption import Interruption
from sweep.progress import Progress
from sweep.samplers import derived_seed, num_points
from sweep.search_space import Space
from sweep.storage import Wait
from sweep.study import SweepStudy

SAME_ERRORS = 3  # running, and the sweep stops
MOST_STARTS = 2  # of one epoch of a trial by processes that died in it, and the trial is FAIL(killed)
STARTS = "sweep:starts"
ATTEMPTS = "sweep:attempts"


@dataclass
class RunningTrial:
    """A trial on a lane. Epochs up to `num_stored` are repeated after a resume and not reported again."""

    number: int
    lane: int
    num_stored: int = 0
    history: list[RunMetrics] = field(default_factory=list)


@dataclass(frozen=True)
class Limits:
    """When a sweep ends: `num_trials` finished trials in total, or `timeout_s` seconds in total across resumes."""

    num_trials: int
    timeout_s: float | None = None


def num_starts(trial: FrozenTrial) -> int:
    """How many processes began the epoch after the trial's last stored one and did not end in order.

    Repeating stored epochs does not count: the trial got through them before. The first process leaves no note.
    """
    starts = trial.system_attrs.get(STARTS)
    return int(starts["count"]) if starts and starts["epoch"] == len(trial.intermediate_values) else 1


class Tuner:
    """Runs a study to its limits. One instance for each process and study."""

    def __init__(
        self,
        study: SweepStudy,
        space: Space,
        executor: Executor,
        limits: Limits,
        progress: Progress,
        seed: int,
        interruption: Interruption | None = None,
    ) -> None:
        self._study, self._space, self._executor = study, space, executor
        self._limits, self._progress, self._seed = limits, progress, seed
        self._interruption = interruption or Interruption()
        self._running: dict[int, RunningTrial] = {}  # by lane
        self._to_repeat: dict[int, tuple[FrozenTrial, RunConfig]] = {}  # by number
        self._rounds_to_repeat = 0
        self._num_points = num_points(space)
        self._same_errors: list[str] = []
        self._curves = LearningCurves(study.write_behind)
        self._wait = Wait(self._interruption.check, progress.notice)
        self._elapsed_before = float(study.user_attrs.get("elapsed_s", 0.0))
        self._started = time.monotonic()

    def run(self) -> bool:
        """Go on until a limit is reached; whether that was the time.

        Raises SweepStopped, or Interrupted after marking the running trials.
        """
        with self._interruption.polled(), closing(self._executor):
            try:
                if not self._is_timed_out():
                    self._find_trials_to_repeat()
                    self._run_rounds()
            except (Exception, Interrupted):
                with suppress(StudyError):  # what ended the run is the news
                    self._mark_drained(Wait(at_most_s=0))
                raise
            self._mark_drained(self._wait)
        return self._is_timed_out() and self._may_ask()

    def _run_rounds(self) -> None:
        while not self._is_timed_out():
            self._interruption.check()
            self._fill_lanes()
            if not self._running:
                break
            self._handle(self._executor.wait())

    @property
    def num_finished(self) -> int:
        """Trials that count towards `num_trials`."""
        return sum(trial.state.is_finished() for trial in self._study.frozen_trials())

    # ---- resume ----

    def _find_trials_to_repeat(self) -> None:
        """Ours that were RUNNING when an earlier process ended; twice dead in the same epoch is FAIL(killed)."""
        with self._transaction():
            for trial in self._study.frozen_trials(TrialState.RUNNING):
                if "seed" not in trial.user_attrs:
                    continue  # somebody else's, running elsewhere
                is_too_often = self._executor.shares_process and num_starts(trial) >= MOST_STARTS
                if is_too_often and not self._study.ended_in_order:
                    error = "the process died twice in the same epoch of this trial; --workers 1 would go on without it"
                    self._fail(trial.number, Cause.KILLED, error)
                else:
                    config = self._space.run_config(trial.params, trial.user_attrs["seed"])
                    self._to_repeat[trial.number] = (trial, config)
                    if is_too_often:  # the database was not there to take the mark of that end
                        self._count_start(trial.number, -1)
        if self._to_repeat:
            numbers = ", ".join(map(str, self._to_repeat))
            self._progress.notice(f"resuming; trial {numbers} goes on")

    def _mark_drained(self, wait: Wait) -> None:
        """The running trials stay RUNNING and go on with the next run; this end is not their fault."""
        if not self._study.write_behind.is_out_of_step:
            with self._transaction(wait):
                for running in self._running.values():
                    self._count_start(running.number, -1)
                self._curves.refresh(now=True)

    def _count_start(self, number: int, change: int) -> None:
        if not self._executor.shares_process:
            return  # what a trial does to its worker is the executor's to judge
        trial = self._study.write_behind.get_trial(number)
        value = {"epoch": len(trial.intermediate_values), "count": num_starts(trial) + change}
        self._study.write_behind.set_trial_system_attr(number, STARTS, value)

    # ---- lanes ----

    def _fill_lanes(self) -> None:
        """Every ask of a round is in one transaction; trials start once it is durable."""
        self._start_repeats()
        if self._is_to_ask():
            with self._transaction():
                asked = self._ask_for_free_lanes()
            for running, config in asked:
                self._start(running, config)
            self._stop_at_same_errors()

    def _start_repeats(self) -> None:
        """Start those whose stored epochs are as many as the rounds that are left for repeating."""
        if not self._running:  # at first, and when those that stood before them were lost or told by another program
            nums_stored = [len(trial.intermediate_values) for trial, _ in self._to_repeat.values()]
            self._rounds_to_repeat = max(nums_stored, default=0)
        for number, (trial, config) in list(self._to_repeat.items()):
            num_stored = len(trial.intermediate_values)
            if num_stored == self._rounds_to_repeat:
                if num_stored == 0:
                    self._count_first_start(number)
                if self._to_repeat.pop(number, None) is not None:
                    self._start(self._take_lane(number, num_stored), config)

    def _count_first_start(self, number: int) -> None:
        with self._transaction():
            if number in self._to_repeat:
                self._count_start(number, +1)

    def _free_lane(self) -> int | None:
        return next((lane for lane in range(self._executor.num_lanes) if lane not in self._running), None)

    def _is_to_ask(self) -> bool:
        return not self._rounds_to_repeat and self._free_lane() is not None and self._may_ask()

    def _may_ask(self) -> bool:
        trials = self._study.frozen_trials()
        ours = sum(trial.state.is_finished() for trial in trials) + len(self._running)
        if ours >= self._limits.num_trials:
            return False
        asked = sum(trial.state != TrialState.WAITING and "fixed_params" not in trial.system_attrs for trial in trials)
        is_waiting = any(trial.state == TrialState.WAITING for trial in trials)
        return self._num_points is None or asked < self._num_points or is_waiting

    def _ask_for_free_lanes(self) -> list[tuple[RunningTrial, RunConfig]]:
        """They count as running at once, so that whatever ends the process from here on finds them all."""
        asked = []
        while self._is_to_ask() and len(self._same_errors) < SAME_ERRORS:
            trial = self._study.ask_next()
            seed = derived_seed(self._seed, trial.number)
            trial.set_user_attr("seed", seed)
            try:
                config = self._space.run_config(self._space.suggest(trial), seed)
            except (SpaceError, ValueError) as error:  # an enqueued trial may hold anything
                self._fail_asked(trial.number, str(error))
            else:
                asked.append((self._take_lane(trial.number), config))
        return asked

    def _fail_asked(self, number: int, error: str) -> None:
        """What was enqueued is wrong by itself; a sampler that fails would fail again."""
        if "fixed_params" not in self._study.write_behind.get_trial(number).system_attrs:
            self._count_error(error)
        self._fail(number, Cause.BUILD_ERROR, error)

    def _take_lane(self, number: int, num_stored: int = 0) -> RunningTrial:
        lane = self._free_lane()
        assert lane is not None
        self._running[lane] = RunningTrial(number, lane, num_stored)
        return self._running[lane]

    def _start(self, running: RunningTrial, config: RunConfig) -> None:
        self._progress.trial_started(running.number)
        self._executor.start(running.lane, config)

    # ---- events ----

    def _handle(self, events: list[Event]) -> None:
        if self._rounds_to_repeat and any(isinstance(event, EpochDone) for event in events):
            self._rounds_to_repeat -= 1
        with self._transaction():
            for event in sorted(events, key=self._trial_number):
                running = self._running.get(event.lane)
                if running is None:
                    continue  # told by somebody else in the meantime
                if isinstance(event, LaneRetried):
                    self._retry(running, event)
                elif isinstance(event, LaneLost):
                    self._lose(running, event)
                else:
                    self._report(running, event)
            self._curves.refresh()
        self._stop_at_same_errors()

    def _stop_at_same_errors(self) -> None:
        if len(self._same_errors) >= SAME_ERRORS:  # several lanes may be lost in one round
            raise SweepStopped(f"the same error three times running: {self._same_errors[0].splitlines()[0]}")

    def _count_error(self, signature: str) -> None:
        self._same_errors = [error for error in self._same_errors if error == signature] + [signature]

    def _trial_number(self, event: Event) -> int:
        running = self._running.get(event.lane)
        return running.number if running is not None else -1

    def _retry(self, running: RunningTrial, event: LaneRetried) -> None:
        self._progress.notice(f"trial {running.number}: {event.error}; attempt {event.attempt} repeats its epochs")
        self._study.write_behind.set_trial_system_attr(running.number, ATTEMPTS, event.attempt)

    def _report(self, running: RunningTrial, event: EpochDone) -> None:
        metrics = event.metrics
        running.history.append(metrics)
        if metrics.epoch <= running.num_stored:
            if metrics.epoch == running.num_stored:
                self._count_start(running.number, +1)
            return
        score = metrics.score(self._space.metrics[0])  # of several objectives the first one's: Optuna stores one
        self._study.write_behind.set_trial_intermediate_value(running.number, metrics.epoch, score)
        self._progress.epoch_done(running.number, metrics, score)
        if metrics.diverged():
            error = f"the {metrics.watched} is not finite after epoch {metrics.epoch}"
            self._fail(running.number, Cause.NAN, error, where=event.circumstances)
        elif metrics.is_last:
            self._end(running, TrialState.COMPLETE, run_values(running.history, self._space.metrics))
        elif self._study.should_prune(running.number):
            self._end(running, TrialState.PRUNED)

    def _lose(self, running: RunningTrial, event: LaneLost) -> None:
        self._count_error(f"{event.error}\n{event.traceback_tail}")
        self._fail(running.number, event.cause, event.error, event.traceback_tail, event.circumstances)
        tail = event.traceback_tail or event.circumstances.log_tail
        if tail:
            note_failure(self._study.write_behind, running.number, event.cause.value, tail)

    def _fail(
        self, number: int, cause: Cause, error: str, traceback_tail: str = "", where: Circumstances | None = None
    ) -> None:
        storage, where = self._study.write_behind, where or circumstances()
        told = (cause.value, error, traceback_tail, where.attempt, where.host, where.peak_memory_mb, where.log_tail)
        for key, value in zip(FAILURE_ATTRS, told, strict=True):
            if value:
                storage.set_trial_user_attr(number, key, value)
        running = next((running for running in self._running.values() if running.number == number), None)
        if running is None:
            self._study.tell_number(number, TrialState.FAIL)
            self._progress.trial_finished(storage.get_trial(number))
        else:
            self._end(running, TrialState.FAIL)

    def _end(self, running: RunningTrial, state: TrialState, values: list[float] | None = None) -> None:
        storage = self._study.write_behind
        if state != TrialState.FAIL:
            self._same_errors = []
        storage.set_trial_user_attr(running.number, "history", [metrics.record() for metrics in running.history])
        self._study.tell_number(running.number, state, values)
        self._free(running)
        self._progress.trial_finished(storage.get_trial(running.number))

    def _free(self, running: RunningTrial) -> None:
        del self._running[running.lane]
        self._executor.stop(running.lane)

    # ---- the study ----

    @contextmanager
    def _transaction(self, wait: Wait | None = None) -> Iterator[None]:
        """One transaction of the study; what others wrote is noticed first."""
        with self._study.write_behind.transaction(wait or self._wait) as changes:
            for change in changes:
                if change.is_new:
                    self._progress.notice(f"trial {change.number} ({change.state.name}) was added by another program")
                    self._count_if_finished(change.number)
                else:
                    self._progress.notice(f"trial {change.number} was told {change.state.name} by another program")
                    self._drop(change.number)
                    self._count_if_finished(change.number)
            self._study.set_user_attr("elapsed_s", round(self._elapsed_s(), 3))
            yield

    def _count_if_finished(self, number: int) -> None:
        trial = self._study.write_behind.get_trial(number)
        if trial.state.is_finished():
            self._progress.trial_finished(trial)

    def _drop(self, number: int) -> None:
        self._to_repeat.pop(number, None)
        for running in list(self._running.values()):
            if running.number == number:
                self._free(running)

    def _elapsed_s(self) -> float:
        return self._elapsed_before + time.monotonic() - self._started

    def _is_timed_out(self) -> bool:
        return self._limits.timeout_s is not None and self._elapsed_s() >= self._limits.timeout_s
