"""A Keras callback that reports a metric to a trial after each epoch, and stops the training of a pruned one."""

from typing import Any

import keras

from sweep.errors import InputError


class ReportingCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Steps count from 0, as epochs in Keras. Every other callback lets the training end as usual.

    Args:
        trial: Has `report` and `should_prune`.
        monitor: Name of the metric in the logs of an epoch.
        sign: What a value is multiplied by before it is reported.
    """

    def __init__(self, trial: Any, monitor: str = "val_accuracy", sign: float = 1.0) -> None:
        super().__init__()
        self._trial, self._monitor, self._sign = trial, monitor, sign
        self._pruned_after: int | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Reset the callback, as it may be used in several trainings.

        Args:
            logs: Not used.
        """
        self._pruned_after = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Report the metric, and stop the training if the trial should be pruned.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Metrics of the epoch.

        Raises:
            InputError: The metric is not among the logs.
        """
        if self._monitor not in (logs or {}):
            raise InputError(
                f'metric "{self._monitor}" is not a metric of this training; it has {", ".join(logs or {})}'
            )
        self._report(epoch, logs or {})
        is_last = epoch + 1 == (self.params or {}).get("epochs")
        if not is_last and self._trial.should_prune():
            self._pruned_after = epoch + 1
            if self.model is not None:
                self.model.stop_training = True

    def _report(self, epoch: int, logs: dict[str, Any]) -> None:
        self._trial.report(self._sign * float(logs[self._monitor]), step=epoch)


class OwnLoopCallback(ReportingCallback):
    """Reports all metrics of the epoch along with the one that is monitored."""

    def _report(self, epoch: int, logs: dict[str, Any]) -> None:
        self._trial.report(float(logs[self._monitor]), step=epoch, logs=logs)
