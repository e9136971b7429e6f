"""Represent a trial on a lane, and read the stored epochs and starts of a trial that is repeated on resume."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial

from sweep.config.function import RunConfig
from sweep.engines.base import EpochRecord, run_values
from sweep.engines.predictions import Predictions

ATTEMPTS = "sweep:attempts"
STARTS = "sweep:starts"
EPOCHS = "sweep:epochs"  # number of trained epochs, for a trial of several runs, which does not report each epoch


@dataclass(eq=False)
class RunningTrial:
    """A trial on a lane. Epochs up to `num_stored` are repeated after a resume and not reported again."""

    number: int
    runs: tuple[RunConfig, ...]
    num_stored: int = 0
    histories: list[list[EpochRecord]] = field(default_factory=list)  # of each run so far
    values: list[list[float]] = field(default_factory=list)  # by objective, of each run that is over
    differs: bool = False  # from its stored reports, as is known so far
    predictions: list[Predictions] = field(default_factory=list)  # of each run that is over, where they are kept
    code: str = ""  # the digest of the user's that trains it, where that is not what the start found

    @property
    def num_epochs(self) -> int:
        """Return the number of epochs trained so far, over all runs."""
        return sum(metrics.is_epoch for history in self.histories for metrics in history)

    @property
    def is_between_runs(self) -> bool:
        """Return whether the run that was started last has ended."""
        return 0 < len(self.values) == len(self.histories)

    def begin_run(self) -> RunConfig:
        """Begin the next run. Return its config."""
        self.histories.append([])
        return self.runs[len(self.values)]

    def add(self, metrics: EpochRecord, objectives: Sequence[str]) -> None:
        """Add an epoch of the run that was started last; its last epoch scores it."""
        self.histories[-1].append(metrics)
        if metrics.is_last and not metrics.is_pruned and not metrics.not_finite():
            self.values.append(run_values(self.histories[-1], objectives))

    def records(self) -> list[dict[str, Any]]:
        """Return the trial's epochs as they are stored; with several runs, with the number of the run."""
        if len(self.runs) == 1:
            history = [metrics for history in self.histories for metrics in history]
            return [metrics.values() for metrics in [one for one in history if one.is_epoch] or history]
        numbered = enumerate(self.histories, start=1)
        return [{"run": run, **metrics.values()} for run, history in numbered for metrics in history]


def num_stored_epochs(trial: FrozenTrial) -> int:
    """Return how many epochs of the trial have been reported, over all its runs."""
    return int(trial.system_attrs.get(EPOCHS, len(trial.intermediate_values)))


def num_starts(trial: FrozenTrial) -> int:
    """Return how many processes began the epoch after the trial's last stored one and exited unexpectedly.

    Repeated epochs do not count, as the trial completed them before. The first process stores nothing, so the count is
    at least 1.
    """
    starts = trial.system_attrs.get(STARTS)
    return int(starts["count"]) if starts and starts["epoch"] == num_stored_epochs(trial) else 1
