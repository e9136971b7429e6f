"""The `Executor` protocol and its events.

An **executor** offers the lanes of one or many engines and says what happened on them. It never sees the study, its
database or its URL: configs go in, events come out.
"""

import traceback
from dataclasses import dataclass
from typing import Protocol

from sweep.config import TrialConfig
from sweep.engines.base import EpochMetrics
from sweep.errors import Cause, DataError, is_out_of_memory

TRACEBACK_LINES = 12


@dataclass(frozen=True)
class EpochDone:
    """A lane finished an epoch; `metrics.is_last` says that its run is over."""

    lane: int
    metrics: EpochMetrics


@dataclass(frozen=True)
class LaneLost:
    """A lane's run failed; the lane is free again."""

    lane: int
    cause: Cause
    error: str  # one line
    traceback_tail: str


Event = EpochDone | LaneLost


class Executor(Protocol):
    """Runs configs on lanes 0 .. num_lanes - 1."""

    num_lanes: int

    def start(self, lane: int, config: TrialConfig) -> None:
        """Put a config on a free lane. Failures come as events, never as exceptions."""

    def stop(self, lane: int) -> None:
        """Free a lane: its run was pruned, cancelled or is over."""

    def wait(self) -> list[Event]:
        """Block until something happened; at least one event while any lane is taken."""

    def close(self) -> None:
        """Stop every lane and whatever runs engines."""


def lane_lost(lane: int, error: BaseException, config: TrialConfig) -> LaneLost:
    """Name the cause of an exception that ended a run."""
    lines = "".join(traceback.format_exception(error)).strip().splitlines()
    message = str(error).strip().splitlines()
    summary = f"{type(error).__name__}: {message[0]}" if message else type(error).__name__
    return LaneLost(lane, _cause(error, config), summary[:500], "\n".join(lines[-TRACEBACK_LINES:]))


def _cause(error: BaseException, config: TrialConfig) -> Cause:
    if is_out_of_memory(error):
        return Cause.OUT_OF_MEMORY
    if isinstance(error, DataError):
        return Cause.DATA_ERROR
    return Cause.USER_ERROR if config.model.builder is not None else Cause.BUILD_ERROR
