"""ask -> start lane -> report / prune -> tell: the only loop that talks to the study.

A round is one `wait` of the executor. Everything a round brought is told in one transaction, in the order of trial
numbers, so the study in the database always stands between two rounds, and a resumed study equals the unbroken one:
trials that were RUNNING keep their numbers and are trained again, unreported, up to their last stored epoch. Lanes
that stood at different epochs start their repetition in different rounds and arrive together.

A trial is one run on a lane, which reports each epoch; or several (folds, repeats), one after another on its lane,
which report each run's score.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from sweep.config.function import RunConfig
from sweep.engines.base import RunMetrics, run_values
from sweep.errors import FAILURE_ATTRS, Cause, Interrupted, SpaceError, StudyError, SweepStopped, message_of
from sweep.executors.base import Circumstances, EpochDone, Event, Executor, LaneLost, LaneRetried, circumstances
from sweep.space.runs import derived_seed, trial_values
from sweep.space.space import Space
from sweep.storage import Wait, set_aside_lines
from sweep.system.interruption import Interruption
from sweep.tuning.dashboard_notes import LearningCurves, note_failure
from sweep.tuning.failures import reason_to_stop
from sweep.tuning.progress import Progress
from sweep.tuning.running_trial import EPOCHS, STARTS, RunningTrial, num_starts, num_stored_epochs
from sweep.tuning.study import SweepStudy

MOST_STARTS = 2  # of one epoch of a trial by processes that died in it, and the trial is FAIL(killed)
ATTEMPTS = "sweep:attempts"


@dataclass(frozen=True)
class Limits:
    """When a sweep ends: `num_trials` finished trials in total, or `timeout_s` seconds in total across resumes.

    It stops where `max_failures` trials in a row fail, see `reason_to_stop`.
    """

    num_trials: int
    timeout_s: float | None = None
    max_failures: int | None = None


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
        self._to_repeat: dict[int, tuple[FrozenTrial, tuple[RunConfig, ...]]] = {}  # by number
        self._rounds_to_repeat = 0
        self._reason_to_stop: str | None = None
        self._edited: set[str] = set()  # digests of the user's code that workers imported later
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
                    for line in set_aside_lines(self._study.study_name, self._study.frozen_trials()):
                        self._progress.notice(line)
                    self._find_trials_to_repeat()
                    self._stop_at_failures()
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
        return len(self._study.write_behind.finished_numbers)

    # ---- resume ----

    def _find_trials_to_repeat(self) -> None:
        """Ours that were RUNNING when an earlier process ended; twice dead in the same epoch is FAIL(killed)."""
        with self._transaction():
            for trial in self._study.frozen_trials(TrialState.RUNNING):
                if not self._study.write_behind.is_ours(trial.number):
                    continue  # somebody else's, running elsewhere
                is_too_often = self._executor.shares_process and num_starts(trial) >= MOST_STARTS
                if is_too_often and not self._study.ended_in_order:
                    error = "the process died twice in the same epoch of this trial; --workers 1 would go on without it"
                    self._fail(trial.number, Cause.KILLED, error)
                else:
                    runs = self._space.runs(trial.params, trial.user_attrs["seed"])
                    self._to_repeat[trial.number] = (trial, runs)
                    self._study.note_code(trial.number)
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
        value = {"epoch": num_stored_epochs(trial), "count": num_starts(trial) + change}
        self._study.write_behind.set_trial_system_attr(number, STARTS, value)

    # ---- lanes ----

    def _fill_lanes(self) -> None:
        """Every ask of a round is in one transaction; trials start once it is durable."""
        self._start_repeats()
        if self._is_to_ask():
            with self._transaction():
                asked = self._ask_for_free_lanes()
            for running in asked:
                self._start(running)
            self._stop_at_failures()

    def _start_repeats(self) -> None:
        """Start those whose stored epochs are as many as the rounds that are left for repeating."""
        if not self._running:  # at first, and when those that stood before them were lost or told by another program
            nums_stored = [num_stored_epochs(trial) for trial, _ in self._to_repeat.values()]
            self._rounds_to_repeat = max(nums_stored, default=0)
        for number, (trial, runs) in list(self._to_repeat.items()):
            num_stored = num_stored_epochs(trial)
            if num_stored == self._rounds_to_repeat:
                if num_stored == 0:
                    self._count_first_start(number)
                if self._to_repeat.pop(number, None) is not None:
                    self._start(self._take_lane(number, runs, num_stored))

    def _count_first_start(self, number: int) -> None:
        with self._transaction():
            if number in self._to_repeat:
                self._count_start(number, +1)

    def _free_lane(self) -> int | None:
        return next((lane for lane in range(self._executor.num_lanes) if lane not in self._running), None)

    def _is_to_ask(self) -> bool:
        return not self._rounds_to_repeat and self._free_lane() is not None and self._may_ask()

    def _may_ask(self) -> bool:
        if self.num_finished + len(self._running) >= self._limits.num_trials:
            return False
        return self._study.num_left() != 0 or bool(self._study.frozen_trials(TrialState.WAITING))

    def _ask_for_free_lanes(self) -> list[RunningTrial]:
        """They count as running at once, so that whatever ends the process from here on finds them all."""
        asked = []
        while self._is_to_ask() and self._reason_to_stop is None:
            trial = self._study.ask_next()
            seed = derived_seed(self._seed, trial.number)
            trial.set_user_attr("seed", seed)
            try:
                runs = self._space.runs(self._study.suggest(trial), seed)
            except (SpaceError, ValueError) as error:
                self._fail(trial.number, Cause.BUILD_ERROR, str(error))
            except Exception as error:  # an enqueued trial may hold anything
                if not self._study.write_behind.is_stored(trial.number):
                    raise
                self._fail(trial.number, Cause.BUILD_ERROR, f"{type(error).__name__}: {message_of(error)}")
            else:
                asked.append(self._take_lane(trial.number, runs))
        return asked

    def _take_lane(self, number: int, runs: tuple[RunConfig, ...], num_stored: int = 0) -> RunningTrial:
        lane = self._free_lane()
        assert lane is not None
        self._running[lane] = RunningTrial(number, lane, runs, num_stored)
        return self._running[lane]

    def _start(self, running: RunningTrial) -> None:
        self._progress.trial_started(running.number)
        self._start_run(running)

    def _start_run(self, running: RunningTrial) -> None:
        running.histories.append([])
        self._executor.start(running.lane, running.runs[len(running.values)])

    def _start_next_runs(self) -> None:
        """Of the trials whose last run has ended and been told."""
        for running in list(self._running.values()):
            if 0 < len(running.values) == len(running.histories):
                self._executor.stop(running.lane)
                self._start_run(running)

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
                else:
                    self._note_code(running, event.code)
                    if isinstance(event, LaneLost):
                        self._lose(running, event)
                    else:
                        self._report(running, event)
            self._curves.refresh()
        self._stop_at_failures()
        self._start_next_runs()

    def _stop_at_failures(self) -> None:
        if self._reason_to_stop is not None:
            raise SweepStopped(f"{self._reason_to_stop}; `sweep show {self._study.study_name} N` shows a trial's error")

    def _trial_number(self, event: Event) -> int:
        running = self._running.get(event.lane)
        return running.number if running is not None else -1

    def _retry(self, running: RunningTrial, event: LaneRetried) -> None:
        self._progress.notice(f"trial {running.number}: {event.error}; attempt {event.attempt} repeats its epochs")
        self._study.write_behind.set_trial_system_attr(running.number, ATTEMPTS, event.attempt)

    def _note_code(self, running: RunningTrial, digest: str) -> None:
        """Of the worker that trains the trial: one that was replaced imports the code as it is by then."""
        known = self._study.code.digest if self._study.code is not None else ""
        if not known or digest in ("", running.code or known):
            return
        running.code = digest
        self._study.note_code(running.number, digest)
        if digest not in self._edited:
            self._edited.add(digest)
            self._progress.notice(
                f"the code of {self._study.code} was edited during the sweep: trial {running.number} is trained by "
                f"{digest}, as are others of workers that start from now on; earlier ones were by {known}"
            )

    def _report(self, running: RunningTrial, event: EpochDone) -> None:
        metrics = event.metrics
        running.histories[-1].append(metrics)
        if metrics.is_last and not metrics.diverged():
            running.values.append(run_values(running.histories[-1], self._space.metrics))
        if running.num_epochs <= running.num_stored:
            if running.num_epochs == running.num_stored:
                self._count_start(running.number, +1)
            return
        self._progress.epoch_done(running.number, metrics, self._score(metrics), len(running.histories))
        has_reported = self._store_epoch(running, metrics)
        if metrics.diverged():
            error = f"the {metrics.watched} is not finite after epoch {metrics.epoch}"
            self._fail(running.number, Cause.NAN, error, where=event.circumstances)
        elif len(running.values) == len(running.runs):
            self._end(running, TrialState.COMPLETE, trial_values(running.values))
        elif has_reported and self._study.should_prune(running.number):
            self._end(running, TrialState.PRUNED)

    def _store_epoch(self, running: RunningTrial, metrics: RunMetrics) -> bool:
        """Whether that reported a value: an epoch's, or of several runs the score of one that is over."""
        storage = self._study.write_behind
        if len(running.runs) == 1:
            storage.set_trial_intermediate_value(running.number, self._step_of(metrics.epoch), self._score(metrics))
            return True
        storage.set_trial_system_attr(running.number, EPOCHS, running.num_epochs)
        is_over = len(running.values) == len(running.histories)
        if is_over:
            step = self._step_of(len(running.values))
            storage.set_trial_intermediate_value(running.number, step, running.values[-1][0])
        return is_over

    def _step_of(self, count: int) -> int:
        """Of the epoch, or of the run, 1, 2, ..."""
        return self._study.first_step + count - 1

    def _score(self, metrics: RunMetrics) -> float:
        """Of several objectives the first one's: Optuna stores one."""
        return metrics.score(self._space.metrics[0])

    def _lose(self, running: RunningTrial, event: LaneLost) -> None:
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
        self._reason_to_stop = reason_to_stop(storage, number, self._limits.max_failures) or self._reason_to_stop

    def _end(self, running: RunningTrial, state: TrialState, values: list[float] | None = None) -> None:
        storage = self._study.write_behind
        storage.set_trial_user_attr(running.number, "history", running.records())
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
                if change.problem is not None:
                    name = self._study.study_name
                    self._progress.notice(f"study {name}: trial {change.number} is set aside: {change.problem}")
                    self._drop(change.number)
                    self._count_if_finished(change.number)
                elif change.is_new:
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
