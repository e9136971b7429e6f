"""Classes weigh as the config says, in lanes as in the sequential engine as in Keras: on JAX by `nox -s tests_jax`."""

from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.engines.class_weights import class_weights
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.sequential import SequentialEngine, compiled_model, minibatch_order
from sweep.testing.engine import train_to_the_end
from tests.engines.training import config_of

TABLE = {"3": 5.0, "7": 0.0}


def weighted(class_weight: Any, **training: Any) -> TrialConfig:
    """Minibatches that do not divide the images, and a penalty, which is not weighted."""
    return config_of(
        {
            "model": {"filters": [4], "dropout": 0.2},
            "regularizer": {"l2": 0.001},
            "training": {"epochs": 2, "batch_size": 33, "class_weight": class_weight, **training},
        }
    )


def losses(history: list[Any]) -> list[list[float]]:
    return [[record.logs[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")] for record in history]


def test_balanced_is_scikit_learns() -> None:
    config = weighted("balanced")
    labels = load(config.data).y_train
    wanted = compute_class_weight("balanced", classes=np.arange(10), y=labels)
    np.testing.assert_allclose(class_weights(config, load(config.data)), wanted, rtol=1e-6)


def test_lanes_with_different_weights_train_as_the_sequential_engine() -> None:
    packed, first_losses = PackedEngine(3, 1), []
    configs = [weighted(TABLE), weighted("balanced", seed=1), weighted({"0": 2.0}, seed=2)]
    for lane, config in enumerate(configs):
        packed.admit(lane, config)
    epochs = [packed.train_epoch() for _ in range(2)]
    for lane, config in enumerate(configs):
        alone = SequentialEngine()
        alone.admit(0, config)
        expected = losses(train_to_the_end(alone))
        np.testing.assert_allclose(losses([epoch[lane] for epoch in epochs]), expected, rtol=2e-5)
        first_losses.append(expected[0][0])
    plain = SequentialEngine()
    plain.admit(0, weighted(None))
    assert abs(losses(train_to_the_end(plain))[0][0] - first_losses[0]) > 0.01


def test_weights_are_inputs_of_one_program() -> None:
    engine, num_compilations = PackedEngine(1, 1), []
    for class_weight in (TABLE, "balanced", {"0": 2.0}):
        engine.admit(0, weighted(class_weight, epochs=1))
        engine.train_epoch()
        engine.evict(0)
        num_compilations.append(engine.num_compilations)
    assert len(set(num_compilations)) == 1


def test_the_sequential_engine_trains_as_keras_fit_does() -> None:
    config = weighted(TABLE, epochs=1)
    dataset, engine = load(config.data), SequentialEngine()
    engine.admit(0, config)
    record = engine.train_epoch()[0]
    model, order = compiled_model(config, dataset), minibatch_order(config.training.seed, 1, len(dataset.train))
    by_number = {int(name): weight for name, weight in TABLE.items()}
    fitted = model.fit(
        dataset.x_train[order],
        dataset.y_train[order],
        batch_size=33,
        shuffle=False,
        verbose=0,
        class_weight=by_number,
        validation_data=(dataset.x_validation, dataset.y_validation),
    )
    for name in ("loss", "val_loss"):
        assert record.logs[name] == pytest.approx(fitted.history[name][0], rel=1e-5)
    for ours, theirs in zip(engine.model(0).get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_an_image_with_mixed_labels_weighs_as_its_classes_do() -> None:
    values = {**weighted(TABLE, epochs=1).values(), "augmentation": {"mixup": 0.3}}
    engine = SequentialEngine()
    engine.admit(0, TrialConfig.from_values(values, "test"))
    assert np.isfinite(engine.train_epoch()[0].logs["loss"])
