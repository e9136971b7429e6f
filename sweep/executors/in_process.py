"""Run one engine in this process: the simplest executor, and the one to debug with."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection
from typing import Any

from sweep.config.function import RunConfig
from sweep.engines.base import Answer, Asks, Engine, EpochRecord, Outcome, Suggestion
from sweep.engines.predictions import Predictions
from sweep.errors import ends_process
from sweep.executors.base import EpochDone, Event, Kept, LaneLost, failure_context, lane_lost, no_answer


class InProcessExecutor:
    """An executor in this process; each `wait` trains one epoch of the lanes that have a run.

    Args:
        engine: Trains the runs.
        trial_timeout_s: Training time allowed for a run in seconds, which is checked after each epoch. Default: no
            limit.
    """

    shares_process = True

    def __init__(self, engine: Engine, trial_timeout_s: float | None = None) -> None:
        self.num_lanes = engine.num_lanes
        self._engine = engine
        self._trial_timeout_s = trial_timeout_s
        self._configs: dict[int, RunConfig] = {}
        self._trained_s: defaultdict[int, float] = defaultdict(float)
        self._waiting: list[Event] = []
        self._answer: Callable[[int, Suggestion], Answer] = no_answer

    def start(self, lane: int, config: RunConfig, *, keeps: Kept = "") -> None:
        """Start a run on a lane; a failure to build the model is an event of the next `wait`."""
        try:
            self._engine.admit(lane, config)
        except BaseException as error:  # user code may raise anything; only this trial fails
            if ends_process(error):
                raise
            self._waiting.append(lane_lost(lane, error, config))
        else:
            self._configs[lane] = config

    def stop(self, lane: int) -> None:
        """Free the lane."""
        self._trained_s.pop(lane, None)
        if self._configs.pop(lane, None) is not None:
            self._engine.evict(lane)

    def wait(self, lanes: Collection[int] | None = None) -> list[Event]:
        """Return pending events, else train an epoch.

        Args:
            lanes: Only these lanes are trained; None for all that have a run.
        """
        events, self._waiting = self._waiting, []
        return events or self._train_epoch(lanes)

    def answer_with(self, answer: Callable[[int, Suggestion], Answer]) -> None:
        """Set the function that answers questions of user functions."""
        self._answer = answer

    def model(self, lane: int) -> Any:
        """Return the trained model of a run that has ended and still has its lane."""
        return self._engine.model(lane)

    def predictions(self, lane: int) -> Predictions | None:
        """Return what the kept model predicts; None if the engine does not provide it."""
        predict = getattr(self._engine, "predictions", None)
        return None if predict is None else predict(lane)

    def close(self) -> None:
        """Free every lane."""
        for lane in list(self._configs):
            self.stop(lane)

    def _train_epoch(self, lanes: Collection[int] | None) -> list[Event]:
        started = time.monotonic()
        try:
            outcomes = {**self._engine.train_epoch(lanes)}
            while isinstance(self._engine, Asks) and self._engine.questions:
                outcomes |= self._engine.train_epoch(self._answer_questions(self._engine))
        except BaseException as error:  # the error is of no particular lane, so all runs fail
            if ends_process(error):
                raise
            return [self._lose(lane, error) for lane in list(self._configs)]
        for lane in outcomes:
            self._trained_s[lane] += time.monotonic() - started
        return [self._event(lane, outcome) for lane, outcome in outcomes.items()]

    def _answer_questions(self, engine: Asks) -> list[int]:
        """Answer the questions. Return their lanes, without those that an answer has stopped."""
        answered = []
        for lane, asked in sorted(engine.questions.items()):
            answer = self._answer(lane, asked)
            if lane in self._configs:
                engine.answer(lane, answer)
                answered.append(lane)
        return answered

    def _event(self, lane: int, outcome: Outcome) -> Event:
        if isinstance(outcome, BaseException):
            return self._lose(lane, outcome)
        if self._is_late(lane, outcome):
            return self._lose(lane, TimeoutError(f"trained for more than {self._trial_timeout_s:g} s"))
        return EpochDone(lane, outcome, failure_context() if outcome.not_finite() else None)

    def _is_late(self, lane: int, metrics: EpochRecord) -> bool:
        limit = self._trial_timeout_s
        return limit is not None and self._trained_s[lane] > limit and not metrics.is_last

    def _lose(self, lane: int, error: BaseException) -> LaneLost:
        event = lane_lost(lane, error, self._configs[lane])
        self.stop(lane)
        return event
