"""The pruning callback in Keras's own fit: reports, prunes, lets the others end, and knows a wrong metric."""

from typing import Any

import keras
import numpy as np
import optuna
import pytest

import sweep
from sweep.errors import InputError


class PruneAfter(optuna.pruners.BasePruner):
    """Prunes every trial after so many epochs."""

    def __init__(self, num_epochs: int) -> None:
        self._num_epochs = num_epochs

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        return len(trial.intermediate_values) == self._num_epochs


class CountEnds(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.num_ends = 0

    def on_train_end(self, logs: Any = None) -> None:
        self.num_ends += 1


def fit(callbacks: list[Any], epochs: int = 4) -> Any:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = np.ones((4, 2), np.float32), np.zeros(4, np.float32)
    return model.fit(*data, epochs=epochs, verbose=0, callbacks=callbacks, validation_data=data)


def ask(pruner: optuna.pruners.BasePruner) -> optuna.Trial:
    return optuna.create_study(direction="minimize", pruner=pruner).ask()


def test_it_reports_every_epoch_at_the_step_that_keras_gives_it() -> None:
    trial = ask(optuna.pruners.NopPruner())
    pruning = sweep.PruningCallback(trial, "val_loss")
    history = fit([pruning])
    pruning.raise_if_pruned()
    reported = trial.study.trials[0].intermediate_values
    assert reported == dict(enumerate(history.history["val_loss"]))


@pytest.mark.parametrize("position", [0, 1])
def test_pruning_lets_every_other_callback_end(position: int) -> None:
    """As shipped by Optuna, the callback raises in the middle of fit, and they never end."""
    trial, other = ask(PruneAfter(2)), CountEnds()
    pruning = sweep.PruningCallback(trial, "val_loss")
    callbacks = [other, pruning] if position else [pruning, other]
    history = fit(callbacks)
    assert len(history.epoch) == 2
    assert other.num_ends == 1
    with pytest.raises(optuna.TrialPruned, match="pruned after epoch 2"):
        pruning.raise_if_pruned()


def test_it_prunes_without_a_model_and_forgets_that_in_the_next_training() -> None:
    pruning = sweep.PruningCallback(ask(PruneAfter(1)), "val_loss")
    pruning.on_epoch_end(5, {"val_loss": 1.0})
    with pytest.raises(optuna.TrialPruned):
        pruning.raise_if_pruned()
    history = fit([pruning], epochs=1)
    assert len(history.epoch) == 1
    pruning.raise_if_pruned()


def test_a_metric_that_is_not_there_is_an_error_that_lists_those_that_are() -> None:
    """As shipped by Optuna, it is a warning, and nothing is ever pruned."""
    pruning = sweep.PruningCallback(ask(PruneAfter(1)), "val_acuracy")
    with pytest.raises(
        InputError, match='metric "val_acuracy" is not a metric of this training; it has loss, val_loss'
    ):
        fit([pruning])


def test_warm_up_spares_as_many_epochs_as_in_a_loop_of_ones_own() -> None:
    threshold = optuna.pruners.ThresholdPruner(upper=-1.0, n_warmup_steps=2)  # prunes as soon as it may
    with_callback, by_hand = ask(threshold), ask(threshold)
    fit([sweep.PruningCallback(with_callback, "val_loss")])
    for epoch in range(4):
        by_hand.report(1.0, epoch)
        if by_hand.should_prune():
            break
    reported = [list(trial.study.trials[0].intermediate_values) for trial in (with_callback, by_hand)]
    assert reported == [[0, 1, 2], [0, 1, 2]]
