"""Choose what a trial reports to Optuna after each epoch or run: the objective's metric, or `monitor` of `[pruner]`.

Optuna compares reported values in the direction of the objective. So a monitor with the opposite direction is reported
with its sign changed: with `val_accuracy` as the objective and `val_loss` as the monitor, `-val_loss` is reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from sweep.engines.base import EpochRecord, run_values
from sweep.metrics import load_direction
from sweep.space.space import Space


@dataclass(frozen=True)
class Reported:
    """A metric, and the sign with which it is reported.

    Attributes:
        metric: Name of the metric.
        sign: 1, or -1 if the metric's direction is not the objective's.
    """

    metric: str
    sign: float = 1.0

    @classmethod
    def of(cls, space: Space) -> Self:
        """Return what trials report: the first of multiple objectives, as Optuna stores one value per step."""
        monitor = space.pruner.monitor
        if monitor in (None, space.metrics[0]):
            return cls(space.metrics[0])
        return cls(monitor, 1.0 if load_direction(monitor) == space.directions[0] else -1.0)

    def of_epoch(self, record: EpochRecord) -> float:
        """Return the value of an epoch."""
        return self.sign * record.score(self.metric)

    def of_run(self, history: Sequence[EpochRecord]) -> float:
        """Return the value of a finished run: that of the epoch whose weights are kept."""
        return self.sign * run_values(history, [self.metric])[0]
