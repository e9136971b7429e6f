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
from sweep.executors.base import Event, FailureContext, LaneLost, LaneRetried, no_answer
from sweep.executors.handle import WorkerExit, WorkerHandle
from sweep.executors.messages import event_of

MOST_FAILED_STARTS = 3
START_S = 120.0  # a worker that imports for longer than this, and than a trial may take, hangs
EPOCHS_OF_GRACE = 2.0  # a trial that is only slow ends its epoch; one that hangs does not


@dataclass
class Run:
    """A config on a lane of a worker."""

    config: RunConfig
    attempt: int = 1
    num_told: int = 0  # epochs, over all attempts
    trained_s: float = 0.0  # in this attempt
    num_deaths: int = 0  # that it is charged with
    is_suspect: bool = False
    is_due: bool = False  # whether this round waits for its epoch
    keeps_model: bool = False
    weights: str = ""  # as the worker sent them when the run was over


class WorkerSlot:
    """A place for a worker. Lanes are those of its engine, 0 .. num_lanes - 1."""

    def __init__(
        self, start_worker: Callable[[], WorkerHandle], num_retries: int, trial_timeout_s: float | None
    ) -> None:
        self._start_worker, self._num_retries, self._trial_timeout_s = start_worker, num_retries, trial_timeout_s
        self._runs: dict[int, Run] = {}
        self._set_up: dict[str, Any] = {}
        self._make: dict[str, Any] = {}
        self._training: list[int] = []  # the lanes whose epoch is awaited
        self._most_at_once: int | None = None  # of lanes, while there are suspects
        self._longest_step_s = 0.0
        self._num_failed_starts = 0
        self._num_ended = 0  # runs of this worker
        self.device: dict[str, Any] | None = None  # of the worker, once it is set up
        self._code = ""  # the digest of the user's, as the worker imported it
        self._is_made = False  # its engine
        self.worker = start_worker()
        self._asked_at = time.monotonic()
        self.answer: Callable[[int, Suggestion], Answer] = no_answer

    def set_up(self, probed: Sequence[dict[str, Any]] = (), **values: Any) -> None:
        """Have the worker import, bind its device, and try a builder on `probed` (one that follows it does not).

        `device` is filled by its answer.
        """
        self._set_up = values
        self._asked_at = time.monotonic()
        self.worker.send(do="set_up", probed=[*probed], **values)

    def make(self, most_runs: int | None, **values: Any) -> None:
        """Have it make its engine. After `most_runs`, once no lane is taken, a new worker follows it."""
        self._make = {"most_runs": most_runs, **values}
        self.worker.send(do="make", **values)

    def start(self, lane: int, config: RunConfig, *, keeps_model: bool = False) -> None:
        """Put a config on a lane."""
        most_runs = self._make["most_runs"]
        if most_runs is not None and self._num_ended >= most_runs and not self._runs:
            self.worker.end()
            self._begin_anew()
        self._runs[lane] = Run(config, keeps_model=keeps_model)
        self._send_start(lane)

    def stop(self, lane: int) -> None:
        """Free a lane."""
        if self._runs.pop(lane, None) is not None:
            self._num_ended += 1
            self.worker.send(do="stop", lane=lane)

    def trained(self, lane: int) -> tuple[RunConfig, str]:
        """Return the config and weights of a run that has ended and kept its model."""
        run = self._runs[lane]
        return run.config, run.weights

    # ---- a round ----

    def begin_round(self) -> None:
        """Begin a round, in which every run has to report an epoch or its end."""
        self._most_at_once = None
        for run in self._runs.values():
            run.is_due, run.is_suspect = True, False

    @property
    def is_due(self) -> bool:
        """Return whether the round still waits for this worker."""
        return any(run.is_due for run in self._runs.values())

    def ask(self) -> None:
        """Have the lanes that are due trained, unless an answer is awaited."""
        due = [lane for lane, run in sorted(self._runs.items()) if run.is_due]
        if due and self._is_made and not self._training:
            self._training = due[: self._most_at_once]
            self._asked_at = time.monotonic()
            self.worker.send(do="train", lanes=self._training)

    def take(self) -> list[Event]:
        """Return the events of the worker's answer, or those that follow from its exit."""
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
        asked, seconds = self._training, time.monotonic() - self._asked_at
        self._training, self._longest_step_s = [], max(self._longest_step_s, seconds)
        for lane in asked:
            self._runs[lane].trained_s += seconds
        return [told for values in answer["events"] for told in self._tell(values)]

    def _answer_question(self, lane: int, asked: Suggestion) -> None:
        """The lane of a trial that another program has finished meanwhile is free."""
        found = self.answer(lane, asked) if lane in self._runs else Answer(error="the trial has ended")
        self.worker.send(do="answer", **asdict(found))

    def check_time(self) -> list[Event]:
        """Replace a worker that takes too long for an answer."""
        if self._trial_timeout_s is None or time.monotonic() - self._asked_at <= self._allowed_s():
            return []
        ended = self.worker.reap(patience_s=0.0)
        error = f"no epoch ended within the trial timeout of {self._trial_timeout_s:g} s"
        return self._replace(WorkerExit(Cause.TIMEOUT, error, ended.peak_memory_mb, ended.log_tail))

    def _allowed_s(self) -> float:
        """For the answer that is awaited."""
        limit = self._trial_timeout_s
        assert limit is not None
        if not self._is_made:
            return max(limit, START_S)
        if not self._training:
            return math.inf
        left = min(limit - self._runs[lane].trained_s for lane in self._training)
        return max(left, EPOCHS_OF_GRACE * self._longest_step_s)

    def _tell(self, values: dict[str, Any]) -> list[Event]:
        """What is new of a worker's event."""
        event = event_of(values["event"])
        run = self._runs.get(event.lane)
        if run is None or values["attempt"] != run.attempt:
            return []  # of an attempt that was given up
        run.weights = values.get("weights", "")
        event = replace(event, code=self._code)
        if isinstance(event, LaneLost):
            return self._lose(event, run)
        if event.metrics.epoch <= run.num_told and not event.metrics.is_last:  # a shorter repetition ends, too
            return []
        run.num_told, run.is_due, run.is_suspect = event.metrics.epoch, False, False
        where = event.context
        return [event if where is None else replace(event, context=self._as_known_here(where, run))]

    def _lose(self, event: LaneLost, run: Run) -> list[Event]:
        """What memory lacked it may have on a new worker; every other error would come again."""
        where = event.context
        if event.cause == Cause.OUT_OF_MEMORY and run.num_deaths < self._num_retries:
            log_tail = self.worker.reap(patience_s=0.0).log_tail
            self._training = [event.lane]
            return self._replace(WorkerExit(event.cause, event.error, where.peak_memory_mb, log_tail))
        del self._runs[event.lane]
        return [replace(event, context=self._as_known_here(where, run))]

    def _as_known_here(self, where: FailureContext, run: Run) -> FailureContext:
        """A worker knows neither the attempt nor what it printed."""
        return replace(where, attempt=run.attempt, log_tail=self.worker.log_tail())

    # ---- a death ----

    def _replace(self, ended: WorkerExit) -> list[Event]:
        """A new worker with the runs that are not lost; what the tuner should know."""
        if not self._is_made:
            self._num_failed_starts += 1
            if self._num_failed_starts == MOST_FAILED_STARTS:
                raise SweepStopped(f"no worker could be started: {ended.error}\n{ended.log_tail}")
        events = self._charge(ended)
        self._begin_anew()
        for lane, run in self._runs.items():
            run.attempt, run.trained_s = run.attempt + 1, 0.0
            self._send_start(lane)
            events.append(LaneRetried(lane, run.attempt, ended.cause, ended.error))
        return events

    def _begin_anew(self) -> None:
        self._training, self._is_made, self._num_ended = [], False, 0
        self.worker = self._start_worker()
        self.set_up(**self._set_up)
        if self._make:
            self.make(**self._make)

    def _charge(self, ended: WorkerExit) -> list[Event]:
        if len(self._training) > 1:
            self._most_at_once = (len(self._training) + 1) // 2
            for lane in self._training:
                self._runs[lane].is_suspect = True
            return []
        events: list[Event] = []
        for lane in self._training:
            run = self._runs[lane]
            run.num_deaths += 2 if run.is_suspect else 1
            run.is_suspect = False
            if run.num_deaths > self._num_retries:
                del self._runs[lane]
                events.append(self._lost_with_worker(lane, run, ended))
        return events

    def _lost_with_worker(self, lane: int, run: Run, ended: WorkerExit) -> LaneLost:
        where = FailureContext(run.attempt, self.worker.host, ended.peak_memory_mb, ended.log_tail)
        return LaneLost(lane, ended.cause, ended.error, "", where)

    def _send_start(self, lane: int) -> None:
        run = self._runs[lane]
        config = run.config.values()
        self.worker.send(do="start", lane=lane, attempt=run.attempt, config=config, keeps_model=run.keeps_model)
