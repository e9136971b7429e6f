"""Callbacks of a sweep, in the manner of Keras's: hooks that are called as it goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import optuna
from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class SweepInfo:
    """What is to be done.

    Attributes:
        study_name: The study's name.
        metrics: What is optimized, by objective; keys of an epoch's `logs`.
        directions: "maximize" or "minimize", by objective.
        num_trials: Finished trials at the end of the sweep, those of earlier processes included.
        epochs: Of a run, at most.
        num_runs: Runs of a trial: 1, or one for each fold or repeat.
        trials: Those that were there at the start.

    """

    study_name: str
    metrics: Sequence[str]
    directions: Sequence[str]
    num_trials: int
    epochs: int
    num_runs: int = 1
    trials: Sequence[FrozenTrial] = ()


class Callback:
    """What is called as a sweep goes on. Derive from it and override the hooks that you need.

    Hooks are called in the process of the sweep, between rounds of epochs, once what they tell of is stored; training
    waits for them. A hook that raises is reported in one line and its callback is called no more: the sweep goes on.
    A study and its trials are to be read; the sweep alone writes to them.
    """

    ends_sweep: ClassVar[bool] = False  # whether what a hook raises ends the sweep: for a part of the sweep itself
    in_transaction: ClassVar[bool] = False  # called before what it tells of is stored, and may write to the study

    def on_sweep_start(self, study: optuna.Study, info: SweepInfo) -> None:
        """Called once, before the first trial of this process.

        Args:
            study: The study, with the trials of earlier processes.
            info: What is to be done.

        """

    def on_trial_start(self, trial: FrozenTrial) -> None:
        """Called when a trial has its params and a lane. One that is resumed starts again.

        Args:
            trial: The trial, RUNNING.

        """

    def on_epoch_end(self, number: int, epoch: int, logs: Mapping[str, float], run: int = 1) -> None:
        """Called after each epoch of each running trial.

        Args:
            number: The trial's.
            epoch: Of the run, 1 for the first.
            logs: Value by metric, as Keras names them (loss, accuracy, learning_rate; with validation data val_loss,
                val_accuracy), and the epoch's seconds. Of a function its values.
            run: Of a trial of several runs (folds, repeats), 1 for the first.

        """

    def on_trial_end(self, trial: FrozenTrial) -> None:
        """Called when a trial is finished, be it by another program.

        Args:
            trial: The trial, COMPLETE, PRUNED or FAIL; its epochs are the user attribute `history`.

        """

    def on_sweep_end(self, study: optuna.Study) -> None:
        """Called once, however the sweep ends.

        Args:
            study: The study, with all its trials.

        """
