"""Supervise one worker and the runs on its lanes: request epochs, and move the runs to a new worker if it exits.

If a worker exits, each of its runs is repeated up to its last reported epoch and continues. Repeated epochs are not
reported again, so the results are the same and only the time differs. If a run trained alone when its worker exited,
the exit is counted against it, and the run is lost after more than `num_retries` exits. If several runs trained, which
one caused the exit is unknown: they are suspects and train half as many at a time, down to one, until each has passed
the epoch. If the worker exits again with a single suspect, the first exit is counted against that one, too.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sweep.config.function import RunConfig
from sweep.engines.base import Answer, Suggestion
from sweep.errors import Cause, InputError, SweepStopped
from sweep.executors.base import Event, FailureContext, Kept, LaneLost, LaneRetried, no_answer
from sweep.executors.handle import WorkerExit, WorkerHandle
from sweep.executors.messages import event_of

MOST_FAILED_STARTS = 3
START_S = 120.0  # time to import and create the engine, unless the trial timeout is longer
EPOCHS_OF_GRACE = 2.0  # a slow trial may finish its epoch; one that exceeds this many of the longest epochs hangs


@dataclass
class Run:
    """A run on a lane of a worker."""

    config: RunConfig
    attempt: int = 1
    num_reported: int = 0  # epochs, over all attempts
    trained_s: float = 0.0  # in this attempt
    num_exits: int = 0  # of workers, counted against the run
    is_suspect: bool = False  # whether it may have caused the last exit
    is_due: bool = False  # whether the round waits for its epoch
    keeps: Kept = ""
    kept: str = ""  # as the worker sent it with the last epoch


class WorkerSlot:
    """Supervise one worker, which is replaced when it exits. Lanes are those of its engine, numbered from 0.

    Args:
        start_worker: Starts a worker.
        num_retries: How often a run is retried whose worker exited.
        trial_timeout_s: Training time allowed for each attempt in seconds; None for no limit.

    Attributes:
        worker: The current worker.
        device: The device as values of `Device`; None before the worker is set up.
    """

    def __init__(
        self, start_worker: Callable[[], WorkerHandle], num_retries: int, trial_timeout_s: float | None
    ) -> None:
        self._start_worker, self._num_retries, self._trial_timeout_s = start_worker, num_retries, trial_timeout_s
        self._runs: dict[int, Run] = {}
        self._set_up: dict[str, Any] = {}
        self._make: dict[str, Any] = {}
        self._training: list[int] = []  # lanes whose epoch was requested
        self._max_training: int | None = None  # limit on the lanes of a request, while there are suspects
        self._longest_step_s = 0.0
        self._num_failed_starts = 0
        self._num_ended = 0  # runs that have ended on the current worker
        self.device: dict[str, Any] | None = None
        self._code = ""  # digest of the user code that the worker imported
        self._is_made = False  # whether the worker has created its engine
        self.worker = start_worker()
        self._requested_at = time.monotonic()
        self.answer: Callable[[int, Suggestion], Answer] = no_answer

    def set_up(self, probed: Sequence[dict[str, Any]] = (), **values: Any) -> None:
        """Request that the worker sets up its device; the answer sets `device`. Arguments are as in `Workers.set_up`.

        Replacements of the worker do not try the models and metrics of `probed` again.
        """
        self._set_up = values
        self._requested_at = time.monotonic()
        self.worker.send(do="set_up", probed=[*probed], **values)

    def make(self, most_runs: int | None, **values: Any) -> None:
        """Request that the worker creates its engine. After `most_runs`, once no lane has a run, it is replaced."""
        self._make = {"most_runs": most_runs, **values}
        self.worker.send(do="make", **values)

    def start(self, lane: int, config: RunConfig, *, keeps: Kept = "") -> None:
        """Start a run on a lane, with `keeps` if `kept` will be called."""
        most_runs = self._make["most_runs"]
        if most_runs is not None and self._num_ended >= most_runs and not self._runs:
            self.worker.end()
            self._start_new_worker()
        self._runs[lane] = Run(config, keeps=keeps)
        self._send_start(lane)

    def stop(self, lane: int) -> None:
        """Free a lane."""
        if self._runs.pop(lane, None) is not None:
            self._num_ended += 1
            self.worker.send(do="stop", lane=lane)

    def kept(self, lane: int) -> tuple[RunConfig, str]:
        """Return the config of a run that has ended and, encoded, what it was started to keep."""
        run = self._runs[lane]
        return run.config, run.kept

    # ---- a round ----

    def begin_round(self) -> None:
        """Begin a round, in which every run reports an epoch or fails."""
        self._max_training = None
        for run in self._runs.values():
            run.is_due, run.is_suspect = True, False

    @property
    def is_due(self) -> bool:
        """Return whether the round waits for an epoch of this worker."""
        return any(run.is_due for run in self._runs.values())

    def request_epochs(self) -> None:
        """Request epochs of the lanes that are due, unless the worker has not answered the last request."""
        due = [lane for lane, run in sorted(self._runs.items()) if run.is_due]
        if due and self._is_made and not self._training:
            self._training = due[: self._max_training]
            self._requested_at = time.monotonic()
            self.worker.send(do="train", lanes=self._training)

    def receive_events(self) -> list[Event]:
        """Handle the worker's next answer or its exit. Return the events.

        Raises:
            InputError: The worker could not execute a request.
            SweepStopped: Several workers in succession exited before they had created their engines.
        """
        answer = self.worker.receive()
        if answer is None:
            return self._replace(self.worker.reap())
        if not answer:
            return []
        if "failed" in answer:
            raise InputError(str(answer["failed"]))
        if "device" in answer:
            self.device, self._code = answer["device"], answer["code"]
            return []
        if "made" in answer:
            self._is_made, self._num_failed_starts = True, 0
            return []
        if "question" in answer:
            self._answer_question(answer["lane"], Suggestion(**answer["question"]))
            return []
        trained, seconds = self._training, time.monotonic() - self._requested_at
        self._training, self._longest_step_s = [], max(self._longest_step_s, seconds)
        for lane in trained:
            self._runs[lane].trained_s += seconds
        return [event for values in answer["events"] for event in self._new_events(values)]

    def _answer_question(self, lane: int, asked: Suggestion) -> None:
        """Answer a question of a lane; with an error if its run was stopped in the meantime."""
        found = self.answer(lane, asked) if lane in self._runs else Answer(error="the trial has ended")
        self.worker.send(do="answer", **asdict(found))

    def check_time(self) -> list[Event]:
        """Replace the worker if its answer takes too long. Return the events."""
        if self._trial_timeout_s is None or time.monotonic() - self._requested_at <= self._allowed_s():
            return []
        ended = self.worker.reap(patience_s=0.0)
        error = f"no epoch ended within the trial timeout of {self._trial_timeout_s:g} s"
        return self._replace(WorkerExit(Cause.TIMEOUT, error, ended.peak_memory_mb, ended.log_tail))

    def _allowed_s(self) -> float:
        """Return the time that the worker may take for its next answer, in seconds."""
        limit = self._trial_timeout_s
        assert limit is not None
        if not self._is_made:
            return max(limit, START_S)
        if not self._training:
            return math.inf
        left = min(limit - self._runs[lane].trained_s for lane in self._training)
        return max(left, EPOCHS_OF_GRACE * self._longest_step_s)

    def _new_events(self, values: dict[str, Any]) -> list[Event]:
        """Return what follows from an event of the worker: nothing for an epoch that was reported before."""
        event = event_of(values["event"])
        run = self._runs.get(event.lane)
        if run is None or values["attempt"] != run.attempt:
            return []  # the event is of an earlier attempt
        run.kept = values.get("kept", "")
        event = replace(event, code=self._code)
        if isinstance(event, LaneLost):
            return self._lose(event, run)
        if event.metrics.epoch <= run.num_reported and not event.metrics.is_last:  # a shorter repetition ends, too
            return []
        run.num_reported, run.is_due, run.is_suspect = event.metrics.epoch, False, False
        where = event.context
        return [event if where is None else replace(event, context=self._complete(where, run))]

    def _lose(self, event: LaneLost, run: Run) -> list[Event]:
        """Retry a run that ran out of memory on a new worker; any other error would occur again."""
        where = event.context
        if event.cause == Cause.OUT_OF_MEMORY and run.num_exits < self._num_retries:
            log_tail = self.worker.reap(patience_s=0.0).log_tail
            self._training = [event.lane]
            return self._replace(WorkerExit(event.cause, event.error, where.peak_memory_mb, log_tail))
        del self._runs[event.lane]
        return [replace(event, context=self._complete(where, run))]

    def _complete(self, where: FailureContext, run: Run) -> FailureContext:
        """Add attempt and log to a context, which a worker itself does not know."""
        return replace(where, attempt=run.attempt, log_tail=self.worker.log_tail())

    # ---- an exit ----

    def _replace(self, ended: WorkerExit) -> list[Event]:
        """Start a new worker with the runs that are not lost. Return the events."""
        if not self._is_made:
            self._num_failed_starts += 1
            if self._num_failed_starts == MOST_FAILED_STARTS:
                raise SweepStopped(f"no worker could be started: {ended.error}\n{ended.log_tail}")
        events = self._charge(ended)
        self._start_new_worker()
        for lane, run in self._runs.items():
            run.attempt, run.trained_s = run.attempt + 1, 0.0
            self._send_start(lane)
            events.append(LaneRetried(lane, run.attempt, ended.cause, ended.error))
        return events

    def _start_new_worker(self) -> None:
        self._training, self._is_made, self._num_ended = [], False, 0
        self.worker = self._start_worker()
        self.set_up(**self._set_up)
        if self._make:
            self.make(**self._make)

    def _charge(self, ended: WorkerExit) -> list[Event]:
        """Count an exit against the run that trained alone, or mark several as suspects. Return events of lost runs."""
        if len(self._training) > 1:
            self._max_training = (len(self._training) + 1) // 2
            for lane in self._training:
                self._runs[lane].is_suspect = True
            return []
        events: list[Event] = []
        for lane in self._training:
            run = self._runs[lane]
            run.num_exits += 2 if run.is_suspect else 1
            run.is_suspect = False
            if run.num_exits > self._num_retries:
                del self._runs[lane]
                events.append(self._lost_with_worker(lane, run, ended))
        return events

    def _lost_with_worker(self, lane: int, run: Run, ended: WorkerExit) -> LaneLost:
        where = FailureContext(run.attempt, self.worker.host, ended.peak_memory_mb, ended.log_tail)
        return LaneLost(lane, ended.cause, ended.error, "", where)

    def _send_start(self, lane: int) -> None:
        run = self._runs[lane]
        config = run.config.values()
        self.worker.send(do="start", lane=lane, attempt=run.attempt, config=config, keeps=run.keeps)
