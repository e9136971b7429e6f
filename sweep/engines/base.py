"""The `Engine` protocol and the record it gives for each lane and epoch.

An **engine** trains; a **lane** is a training run's place in it. Lanes are numbered 0 .. num_lanes - 1.
"""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

from sweep.config.function import value_names
from sweep.space.objective import TIMING


@dataclass(frozen=True)
class EpochMetrics:
    """One epoch of one lane. Losses include the regularizer's penalty; accuracies are fractions."""

    epoch: int  # 1 for the first
    loss: float  # mean over the epoch's minibatches, weighted by their size
    accuracy: float
    val_loss: float | None  # None where there is no validation part
    val_accuracy: float | None
    learning_rate: float  # after the epoch's last update
    seconds: float
    is_last: bool = False  # the run is over: all epochs done, or stopped early
    best_epoch: int = 0  # on the last record: the epoch whose weights are kept (without patience, the last)
    watched: ClassVar[str] = "loss"  # what `diverged` is of

    def score(self, metric: str) -> float:
        """The metric of this epoch."""
        return float(getattr(self, metric))

    def diverged(self) -> bool:
        """Whether a loss is NaN or infinite."""
        return not all(math.isfinite(loss) for loss in (self.loss, self.val_loss) if loss is not None)

    def record(self) -> dict[str, Any]:
        """Plain values for a JSON attribute, without what only steers the run."""
        values = asdict(self)
        del values["is_last"], values["best_epoch"]
        return values


@dataclass(frozen=True)
class FunctionValues:
    """What an objective that is a function gave: the one epoch of its run. The metric is `value`.

    With several objectives the metrics are `values_0`, `values_1`, ..., as Optuna names the columns of its tables.
    """

    values: tuple[float, ...]
    seconds: float
    epoch: int = 1
    is_last: bool = True
    best_epoch: int = 1
    watched: ClassVar[str] = "value"

    def score(self, metric: str) -> float:
        """The value of this objective."""
        return float(self.record()[metric])

    def diverged(self) -> bool:
        """Whether a value is NaN or infinite."""
        return not all(map(math.isfinite, self.values))

    def record(self) -> dict[str, Any]:
        """Plain values for a JSON attribute."""
        names = value_names(len(self.values))
        return {"epoch": self.epoch, **dict(zip(names, self.values, strict=True)), "seconds": self.seconds}


RunMetrics = EpochMetrics | FunctionValues
Outcome = RunMetrics | BaseException  # of a lane's epoch: its record, or what ended its run


def metrics_of(lane: int, outcomes: Mapping[int, Outcome]) -> RunMetrics:
    """The lane's record; raises the exception that ended its run."""
    outcome = outcomes[lane]
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def run_values(history: Sequence[RunMetrics], metrics: Sequence[str]) -> list[float]:
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
