"""The `Engine` protocol and the record it gives for each lane and epoch.

An **engine** trains; a **lane** is a training run's place in it. Lanes are numbered 0 .. num_lanes - 1.
"""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sweep.metrics import TIMING

LEARNING_RATE = "learning_rate"


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of one lane.

    Attributes:
        epoch: 1 for the first.
        logs: What it scored, by the names that Keras's callbacks get: "loss" and "accuracy" are means over the epoch's
            minibatches, weighted by their size; "val_loss" and "val_accuracy" stand where there is a validation part;
            "learning_rate" is the one after the last update. Losses include the regularizer's penalty. Of a function
            the values, by `value_names`.
        seconds: Of training and validation, or of the function's call.
        is_last: The run is over: all epochs done, or stopped early.
        best_epoch: On the last record, the epoch whose weights are kept (without patience, the last); else 0.
    """

    epoch: int
    logs: dict[str, float]
    seconds: float
    is_last: bool = False
    best_epoch: int = 0

    def score(self, metric: str) -> float:
        """The metric of this epoch."""
        return self.seconds if metric == TIMING else self.logs[metric]

    def not_finite(self) -> str | None:
        """The first metric that is NaN or infinite; None if all are numbers. A learning rate may be what it likes."""
        scores = ((name, value) for name, value in self.logs.items() if name != LEARNING_RATE)
        return next((name for name, value in scores if not math.isfinite(value)), None)

    def values(self) -> dict[str, Any]:
        """Plain values for a JSON attribute, without what only steers the run."""
        return {"epoch": self.epoch, **self.logs, "seconds": self.seconds}


def not_finite_line(record: EpochRecord) -> str:
    """Of a record with such a metric: `the loss is not finite after epoch 3`."""
    return f"the {record.not_finite()} is not finite after epoch {record.epoch}"


Outcome = EpochRecord | BaseException  # of a lane's epoch: its record, or what ended its run


def record_of(lane: int, outcomes: Mapping[int, Outcome]) -> EpochRecord:
    """The lane's record; raises the exception that ended its run."""
    outcome = outcomes[lane]
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def run_values(history: Sequence[EpochRecord], metrics: Sequence[str]) -> list[float]:
    """What a run that is over scored: each metric at the epoch whose weights are kept, `seconds` as the median.

    The median of all epochs leaves out that the first one compiles.
    """
    kept = history[history[-1].best_epoch - 1]
    median_s = statistics.median(epoch.seconds for epoch in history)
    return [median_s if metric == TIMING else kept.score(metric) for metric in metrics]


class Engine(Protocol):
    """Trains up to `num_lanes` configs at once, an epoch at a time."""

    num_lanes: int

    def admit(self, lane: int, config: Any) -> None:
        """Start (or refill) a free lane with a `TrialConfig` (`FunctionConfig` for the function engine).

        Raises what building the model raises; the lane then stays free.
        """

    def evict(self, lane: int) -> None:
        """Free a lane: pruned, failed or cancelled. A lane whose record said `is_last` is freed by this too."""

    def train_epoch(self, lanes: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train one epoch on every live lane, or on those among `lanes`.

        Gives for each its record, or the exception that ended its run alone. Such a lane is not free before it is
        evicted. What is raised ends every live run. Lanes whose run is over no longer train.
        """

    def model(self, lane: int) -> Any:
        """The lane's `keras.Model` with its weights now; after the last epoch, with the kept weights."""
