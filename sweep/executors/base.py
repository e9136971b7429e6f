"""The `Executor` protocol and its events.

An **executor** offers the lanes of one or many engines and says what happened on them. It never sees the study, its
database or its URL: configs go in, events come out.
"""

import platform
import resource
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sweep.config.function import FunctionConfig, RunConfig
from sweep.engines.base import Answer, EpochRecord, Suggestion
from sweep.errors import Cause, DataError, is_out_of_memory, message_of

TRACEBACK_LINES = 12
MAXRSS_PER_MB = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes elsewhere


@dataclass(frozen=True)
class FailureContext:
    """Where and how a run was trained when something went wrong."""

    attempt: int = 1  # 1 for the first
    host: str = ""
    peak_memory_mb: float | None = None  # of the process, resident
    log_tail: str = ""  # what the process printed last


@dataclass(frozen=True)
class EpochDone:
    """A lane finished an epoch; `metrics.is_last` says that its run is over."""

    lane: int
    metrics: EpochRecord
    context: FailureContext | None = None  # where the loss is not finite
    code: str = ""  # the digest of the user's code, as a worker imported it


@dataclass(frozen=True)
class LaneLost:
    """A lane's run failed; the lane is free again."""

    lane: int
    cause: Cause
    error: str  # one line
    traceback_tail: str
    context: FailureContext = FailureContext()
    code: str = ""  # as of `EpochDone`


@dataclass(frozen=True)
class LaneRetried:
    """The process that trained a lane was lost. Its run was started again; reported epochs are not reported again."""

    lane: int
    attempt: int
    cause: Cause
    error: str


Event = EpochDone | LaneLost | LaneRetried


class Executor(Protocol):
    """Runs configs on lanes 0 .. num_lanes - 1."""

    num_lanes: int
    shares_process: bool  # whether a run that kills its process kills the launcher

    def start(self, lane: int, config: RunConfig, *, keeps_model: bool = False) -> None:
        """Start a config on a free lane, with `keeps_model` if `model` will be called. Failures are events."""

    def stop(self, lane: int) -> None:
        """Free a lane whose run was pruned, was cancelled or has ended."""

    def wait(self) -> list[Event]:
        """Block until something happened, and return the events: at least one if any lane has a run."""

    def answer_with(self, answer: Callable[[int, Suggestion], Answer]) -> None:
        """Have the questions of a user's function answered, by its lane, while `wait` waits for its epoch."""

    def model(self, lane: int) -> Any:
        """Return the compiled `keras.Model`, with the kept weights, of a run that has ended and still has its lane."""

    def close(self) -> None:
        """Stop every lane and whatever runs engines."""


def no_answer(lane: int, asked: Suggestion) -> Answer:
    """Answer the question of a run that belongs to no study."""
    return Answer(error=f"{asked.name} is not among the params of this run")


def failure_context(attempt: int = 1) -> FailureContext:
    """Return the context of this process at this time."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MAXRSS_PER_MB
    return FailureContext(attempt, platform.node(), round(peak, 1))


def lane_lost(lane: int, error: BaseException, config: RunConfig) -> LaneLost:
    """Name the cause of an exception that ended a run in this process."""
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
