"""Optuna's Keras pruning callback, without its two traps.

As shipped it raises inside `fit`, so the other callbacks' `on_train_end` is skipped, and a metric that is not there
only warns. This one stops the training, lets every callback end, and then `raise_if_pruned` raises `TrialPruned`.
"""

from typing import Any

import optuna
from optuna_integration import KerasPruningCallback

from sweep.errors import InputError


class PruningCallback(KerasPruningCallback):  # type: ignore[misc]
    """Reports `monitor` to the trial after each epoch and stops the training when pruned.

    Steps are Keras's epochs, which count from 0, so a pruner's `n_warmup_steps` spares that many epochs.
    """

    def __init__(self, trial: optuna.Trial, monitor: str = "val_accuracy") -> None:
        super().__init__(trial, monitor)
        self._pruned_after: int | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Report; InputError if the metric is not among the logs."""
        if self._monitor not in (logs or {}):
            raise InputError(f'metric "{self._monitor}" is not given by the training; it gives {", ".join(logs or {})}')
        self._trial.report(float((logs or {})[self._monitor]), step=epoch)
        is_last = epoch + 1 == (self.params or {}).get("epochs")
        if not is_last and self._trial.should_prune():
            self._pruned_after = epoch + 1
            self.model.stop_training = True

    def raise_if_pruned(self) -> None:
        """Raise `optuna.TrialPruned` if the trial was pruned; call it when the training has ended."""
        if self._pruned_after is not None:
            raise optuna.TrialPruned(f"pruned after epoch {self._pruned_after}")
