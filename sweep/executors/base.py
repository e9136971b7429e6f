"""Define the `Executor` protocol and its events.

An **executor** offers the lanes of one or more engines and returns events of what happened on them. It never sees the
study, its database or its URL: it takes configs and returns events.
"""

import platform
import resource
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sweep.config.function import FunctionConfig, RunConfig
from sweep.engines.base import Answer, EpochRecord, Suggestion
from sweep.engines.predictions import Predictions
from sweep.errors import Cause, DataError, is_out_of_memory, message_of

TRACEBACK_LINES = 12
MAXRSS_PER_MB = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes elsewhere


@dataclass(frozen=True)
class FailureContext:
    """Where a run was trained when it failed.

    Attributes:
        attempt: The attempt, from 1.
        host: Name of the machine.
        peak_memory_mb: Peak resident memory of the process in MB; None if it is unknown.
        log_tail: The last lines that the process printed.
    """

    attempt: int = 1
    host: str = ""
    peak_memory_mb: float | None = None
    log_tail: str = ""


@dataclass(frozen=True)
class EpochDone:
    """A lane finished an epoch.

    Attributes:
        lane: The lane.
        metrics: The epoch; `metrics.is_last` states that the run has ended.
        context: Where it was trained, if the loss is not finite.
        code: Digest of the user code that the worker imported; "" without user code.
    """

    lane: int
    metrics: EpochRecord
    context: FailureContext | None = None
    code: str = ""


@dataclass(frozen=True)
class LaneLost:
    """A lane's run failed, and the lane is free.

    Attributes:
        lane: The lane.
        cause: The cause.
        error: The error in one line.
        traceback_tail: The last lines of the traceback; "" if there is none.
        context: Where the run was trained.
        code: Digest of the user code that the worker imported; "" without user code.
    """

    lane: int
    cause: Cause
    error: str
    traceback_tail: str
    context: FailureContext = FailureContext()
    code: str = ""


@dataclass(frozen=True)
class LaneRetried:
    """The worker that trained a lane exited. Its run was started again; reported epochs are not reported again.

    Attributes:
        lane: The lane.
        attempt: The new attempt, from 2.
        cause: Why the worker exited.
        error: How the worker exited, in one line.
    """

    lane: int
    attempt: int
    cause: Cause
    error: str


Event = EpochDone | LaneLost | LaneRetried


Kept = Literal["", "model", "predictions"]  # of a run that has ended


class Executor(Protocol):
    """Train runs on lanes.

    Attributes:
        num_lanes: Number of lanes, which are numbered from 0.
        shares_process: Whether runs are trained in the main process, so that a run that kills its process kills it.
    """

    num_lanes: int
    shares_process: bool

    def start(self, lane: int, config: RunConfig, *, keeps: Kept = "") -> None:
        """Start a run on a free lane. A failure is an event of the next `wait`.

        Args:
            lane: The lane.
            config: The config to train.
            keeps: What will be asked for once the run has ended: its model, its predictions, or neither.
        """

    def stop(self, lane: int) -> None:
        """Free a lane whose run was pruned, was cancelled or has ended."""

    def wait(self) -> list[Event]:
        """Block until there are events, and return them: at least one if any lane has a run."""

    def answer_with(self, answer: Callable[[int, Suggestion], Answer]) -> None:
        """Set the function that answers questions of user functions, such as `trial.suggest_float`, during `wait`.

        Args:
            answer: Called with the lane and the question.
        """

    def model(self, lane: int) -> Any:
        """Return the compiled `keras.Model`, with the kept weights, of a run that has ended and still has its lane."""

    def predictions(self, lane: int) -> Predictions | None:
        """Return what the kept model of a run that has ended predicts for its validation images.

        None if the engine does not provide it, or there are too many values.
        """

    def close(self) -> None:
        """Stop every lane, and end the workers."""


def no_answer(lane: int, asked: Suggestion) -> Answer:
    """Return an error, for runs that do not belong to a study."""
    return Answer(error=f"{asked.name} is not among the params of this run")


def failure_context(attempt: int = 1) -> FailureContext:
    """Return the context of a failure in this process now."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MAXRSS_PER_MB
    return FailureContext(attempt, platform.node(), round(peak, 1))


def lane_lost(lane: int, error: BaseException, config: RunConfig) -> LaneLost:
    """Describe an exception that ended a run in this process.

    Args:
        lane: The run's lane.
        error: The exception.
        config: The run's config.
    """
    lines = "".join(traceback.format_exception(error)).strip().splitlines()
    message = message_of(error).strip().splitlines()
    summary = f"{type(error).__name__}: {message[0]}" if message else type(error).__name__
    tail = "\n".join(lines[-TRACEBACK_LINES:])
    return LaneLost(lane, _cause(error, config), summary[:500], tail, failure_context())


def _cause(error: BaseException, config: RunConfig) -> Cause:
    if is_out_of_memory(error):
        return Cause.OUT_OF_MEMORY
    if isinstance(error, DataError):
        return Cause.DATA_ERROR
    if isinstance(error, TimeoutError):
        return Cause.TIMEOUT
    runs_user_code = isinstance(config, FunctionConfig) or bool({*config.user_code} - {config.data.user_code})
    return Cause.USER_ERROR if runs_user_code else Cause.BUILD_ERROR
