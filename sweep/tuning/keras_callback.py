"""Keras callbacks of a trial: the pruning callback, and new copies of the user's callbacks for each training.

The pruning callback of optuna-integration raises inside `fit`, so that `on_train_end` of other callbacks is skipped,
and it only warns if the metric is missing. This one stops the training and lets every callback end;
`raise_if_pruned` then raises `TrialPruned`.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

import keras
import optuna

from sweep.engines.reporting_callback import ReportingCallback
from sweep.errors import InputError

BATCH_HOOKS = tuple(
    f"on_{kind}batch_{moment}" for kind in ("", "train_", "test_") for moment in ("begin", "end")
)  # many minibatches run in one compiled call, so these hooks cannot be called
SAVERS = tuple(  # older Keras has no OrbaxCheckpoint
    getattr(keras.callbacks, name, None) for name in ("ModelCheckpoint", "BackupAndRestore", "OrbaxCheckpoint")
)
Callbacks = Sequence[Any] | Callable[[optuna.Trial], Iterable[Any]]


class PruningCallback(ReportingCallback):
    """Report a metric to the trial after each epoch, and stop the training if the trial should be pruned.

    Steps count from 0, as epochs in Keras. Works in Keras's own `fit`; call `raise_if_pruned` after it.

    Args:
        trial: The Optuna trial.
        monitor: Name of the metric in the logs of an epoch.
        sign: -1 where the study's direction is not the metric's.
    """

    def __init__(self, trial: optuna.Trial, monitor: str = "val_accuracy", sign: float = 1.0) -> None:
        super().__init__(trial, monitor, sign)

    def raise_if_pruned(self) -> None:
        """Raise `optuna.TrialPruned` if the training was stopped; call it after the training."""
        if self._pruned_after is not None:
            raise optuna.TrialPruned(f"pruned after epoch {self._pruned_after}")


class CallbackFactory:
    """Provide new callbacks for each training, so that no state is carried from one trial into the next.

    Args:
        callbacks: Keras callbacks, which are copied for each training; or a function that returns them for a trial.

    Raises:
        InputError: A callback cannot be copied, or has a hook for minibatches.
    """

    def __init__(self, callbacks: Callbacks) -> None:
        self._make = callbacks if callable(callbacks) else None
        self._originals = [] if callable(callbacks) else [_copied(callback) for callback in callbacks]
        _check_hooks(self._originals)

    def __call__(self, trial: optuna.Trial) -> list[Any]:
        """Return the callbacks of one training of this trial."""
        if self._make is None:
            return [_copied(callback) for callback in self._originals]
        made = list(self._make(trial))
        _check_hooks(made)
        return made


def _copied(callback: Any) -> Any:
    try:
        return deepcopy(callback)
    except Exception as error:
        name = type(callback).__name__
        raise InputError(
            f"callbacks: {name} cannot be copied for each trial ({error}); pass a function that creates it: "
            f"callbacks=lambda trial: [{name}(...)]"
        ) from None


def _check_hooks(callbacks: Iterable[Any]) -> None:
    for callback in callbacks:
        hook = next((hook for hook in BATCH_HOOKS if _has(callback, hook)), None)
        if hook is not None and not _acts_on_epochs_alone(callback):
            raise InputError(
                f"callbacks: {type(callback).__name__}.{hook} would never be called, as many minibatches run in one "
                "compiled call; use on_epoch_begin or on_epoch_end"
            )


def _has(callback: Any, hook: str) -> bool:
    """Return whether the callback overrides a hook of Keras's base class, which does nothing."""
    return getattr(getattr(callback, hook, None), "__func__", None) is not getattr(keras.callbacks.Callback, hook)


def _acts_on_epochs_alone(callback: Any) -> bool:
    """Return whether the callback is one of Keras's whose hooks for minibatches do nothing with these options."""
    if type(callback) in SAVERS:
        return bool(callback.save_freq == "epoch")
    if type(callback) is keras.callbacks.TensorBoard:
        per_step = callback.write_steps_per_second or callback._should_trace
        return callback.update_freq == "epoch" and not per_step
    return False
