"""The `Engine` protocol and the record that an engine returns for each lane and epoch.

An **engine** trains; a **lane** is one of the training runs that it trains at a time, numbered 0 .. num_lanes - 1.
"""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from sweep.metrics import TIMING

LEARNING_RATE = "learning_rate"


Ending = Literal["", "returned", "pruned"]


@dataclass(frozen=True)
class OwnReport:
    """What a user's own training loop adds to a record.

    Attributes:
        step: The step that was reported; None for the record that ends the run.
        asks: Whether the loop has called `should_prune`.
        ending: How the function ended: it returned a value, or it raised `optuna.TrialPruned`; "" for a report.
        attrs: User attributes that were set since the last record.
    """

    step: int | None = None
    asks: bool = False
    ending: Ending = ""
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of one lane, or one report of a user's own training loop.

    Attributes:
        epoch: Number of the epoch, from 1.
        logs: Metrics by the names that Keras's callbacks get: "loss" and "accuracy" are means over the epoch's
            minibatches, weighted by their size; "val_loss" and "val_accuracy" exist if there is validation data;
            "learning_rate" is the rate after the last update. Losses include the regularization penalty. For an
            objective function, its values by `value_names`.
        seconds: Wall time of training and validation, or of the function's call.
        is_last: Whether the run is over: all epochs are done, or it was stopped early.
        best_epoch: In the last record the epoch whose weights are kept (without patience, the last one); otherwise 0.
        own: Of a user's own training loop, whose reports are counted from 1 as epochs; None for all others.
    """

    epoch: int
    logs: dict[str, float]
    seconds: float
    is_last: bool = False
    best_epoch: int = 0
    own: OwnReport | None = None

    @property
    def is_epoch(self) -> bool:
        """Return whether this is an epoch or a report, and not only the end of a user's own training loop."""
        return self.own is None or not self.own.ending

    @property
    def is_pruned(self) -> bool:
        """Return whether a user's own training loop has pruned itself."""
        return self.own is not None and self.own.ending == "pruned"

    @property
    def may_prune(self) -> bool:
        """Return whether the pruner is asked after this record."""
        return self.own is None or self.own.asks

    def score(self, metric: str) -> float:
        """Return the value of a metric in this epoch."""
        return self.seconds if metric == TIMING else self.logs[metric]

    def not_finite(self) -> str | None:
        """Return the first metric that is NaN or infinite, except the learning rate; None if there is none."""
        scores = ((name, value) for name, value in self.logs.items() if name != LEARNING_RATE)
        return next((name for name, value in scores if not math.isfinite(value)), None)

    def values(self) -> dict[str, Any]:
        """Return epoch, metrics and seconds as plain values for a JSON attribute."""
        step = {} if self.own is None or self.own.step is None else {"step": self.own.step}
        return {"epoch": self.epoch, **step, **self.logs, "seconds": self.seconds}


def not_finite_line(record: EpochRecord) -> str:
    """Return a message such as `the loss is not finite after epoch 3`."""
    return f"the {record.not_finite()} is not finite after epoch {record.epoch}"


@dataclass(frozen=True)
class Suggestion:
    """A parameter that a user's function asks for while it runs.

    Attributes:
        name: Of the parameter.
        distribution: Its `type` (float, int or categorical), and the arguments of Optuna's distribution.
    """

    name: str
    distribution: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """The answer to a `Suggestion`: a value, or why there is none."""

    value: Any = None
    error: str = ""


@runtime_checkable
class Asks(Protocol):
    """An engine whose runs may stop at a question. After the answer, `train_epoch` continues their epoch."""

    @property
    def questions(self) -> Mapping[int, Suggestion]:
        """Return the open questions by lane."""

    def answer(self, lane: int, answer: Answer) -> None:
        """Answer the question of a lane."""


Outcome = EpochRecord | BaseException  # of a lane's epoch: its record, or the exception that ended its run


def record_of(lane: int, outcomes: Mapping[int, Outcome]) -> EpochRecord:
    """Return the lane's record, or raise the exception that ended its run."""
    outcome = outcomes[lane]
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def run_values(history: Sequence[EpochRecord], metrics: Sequence[str]) -> list[float]:
    """Return the scores of a finished run: metrics at the epoch whose weights are kept, and the median of `seconds`.

    The median leaves out the compilation in the first epoch.
    """
    kept = history[history[-1].best_epoch - 1]
    median_s = statistics.median(epoch.seconds for epoch in history)
    return [median_s if metric == TIMING else kept.score(metric) for metric in metrics]


class Engine(Protocol):
    """Train up to `num_lanes` configs at a time, epoch by epoch.

    Attributes:
        num_lanes: Number of lanes.
    """

    num_lanes: int

    def admit(self, lane: int, config: Any) -> None:
        """Start a run on a free lane.

        Args:
            lane: A free lane.
            config: A `TrialConfig`; a `FunctionConfig` for the function engine.

        Raises:
            ValueError: The lane is not free.
            Exception: Whatever building the model raises; the lane then stays free.
        """

    def evict(self, lane: int) -> None:
        """Free a lane whose run has ended, or is pruned or cancelled. A free lane stays free."""

    def train_epoch(self, lanes: Collection[int] | None = None) -> Mapping[int, Outcome]:
        """Train one epoch on every lane whose run is not over.

        Args:
            lanes: Only train these lanes. None: all.

        Returns:
            For each lane its record, or the exception that ended its run. Such a lane is not free until `evict`.

        Raises:
            Exception: Ends the runs of all lanes.
        """

    def model(self, lane: int) -> Any:
        """Return the lane's `keras.Model` with its current weights; after the last epoch, with those that are kept."""
