"""Callbacks of a sweep, modeled after Keras's callbacks: hooks that are called while it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import optuna
from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class SweepInfo:
    """What a sweep is about to do.

    Attributes:
        study_name: Name of the study.
        metrics: The metric of each objective; keys of an epoch's `logs`.
        directions: The direction of each objective, "maximize" or "minimize".
        num_trials: Number of finished trials at the end of the sweep, including those of earlier processes.
        epochs: Maximum number of epochs of a run.
        num_runs: Number of runs of a trial: 1, or one for each fold or repeat.
        trials: The trials that exist at the start.

    """

    study_name: str
    metrics: Sequence[str]
    directions: Sequence[str]
    num_trials: int
    epochs: int
    num_runs: int = 1
    trials: Sequence[FrozenTrial] = ()


class Callback:
    """Base class of callbacks. Override the hooks that you need.

    Hooks are called in the process of the sweep, between rounds of epochs, after the event has been stored; training
    waits for them. If a hook raises, the error is reported in one line and the callback is not called any more: the
    sweep continues. A callback may read the study and its trials; only the sweep writes to them.

    Attributes:
        ends_sweep: Whether an exception of a hook ends the sweep. For parts of the sweep itself.
        in_transaction: Whether hooks are called before the event is stored, and may write to the study.
    """

    ends_sweep: ClassVar[bool] = False
    in_transaction: ClassVar[bool] = False

    def on_sweep_start(self, study: optuna.Study, info: SweepInfo) -> None:
        """Called once, before the first trial of this process.

        Args:
            study: The study, with the trials of earlier processes.
            info: What the sweep is about to do.

        """

    def on_trial_start(self, trial: FrozenTrial) -> None:
        """Called when a trial has its parameters and a lane. A resumed trial starts again.

        Args:
            trial: The trial, in state RUNNING.

        """

    def on_epoch_end(self, number: int, epoch: int, logs: Mapping[str, float], run: int = 1) -> None:
        """Called after each epoch of each running trial.

        Args:
            number: Number of the trial.
            epoch: Epoch of the run, from 1.
            logs: Metrics by Keras's names (loss, accuracy, learning_rate; with validation data val_loss and
                val_accuracy), and the epoch's seconds. For an objective function, its values.
            run: Run of the trial (fold or repeat), from 1.

        """

    def on_trial_end(self, trial: FrozenTrial) -> None:
        """Called when a trial is finished, by the sweep or by another program.

        Args:
            trial: The trial, in state COMPLETE, PRUNED or FAIL; the user attribute `history` has its epochs.

        """

    def on_sweep_end(self, study: optuna.Study) -> None:
        """Called once, however the sweep ends.

        Args:
            study: The study, with all its trials.

        """
