"""The sequential engine: Keras's own arithmetic, exactly repeatable, on both Keras backends, with callbacks."""

import json
import logging
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from sweep.data import load
from sweep.engines.sequential import SequentialEngine, minibatch_order
from sweep.errors import DataError, SpaceError
from sweep.models.build import build_model
from sweep.testing.engine import train_to_the_end
from tests.engines.training import config_of, outcome, set_fixed_weights

SMALL: dict[str, Any] = {"model": {"filters": [4], "dense_units": 8}, "training": {"epochs": 2, "batch_size": 32}}
EVERYTHING: dict[str, Any] = {
    "model": {"filters": [4, 4], "dense_units": 8, "dropout": 0.5, "batch_norm": True, "padding": "same"},
    "regularizer": {"l2": 0.01, "scope": "all"},
    "optimizer": {"name": "adam"},
    "schedule": {"name": "cosine", "initial_rate": 0.01},
    "training": {"epochs": 3, "batch_size": 32, "seed": 3},
}
PARITY: dict[str, Any] = {  # nothing random but the order of minibatches
    "fixed_weights": True,
    "model": {"filters": [4], "dense_units": 8, "batch_norm": True, "activation": "tanh"},
    "regularizer": {"l1": 1e-4, "l2": 0.01},
    "optimizer": {"name": "rmsprop", "momentum": 0.5},
    "schedule": {"name": "inverse_time", "initial_rate": 0.002, "decay_rate": 0.1},
    "training": {"epochs": 3, "batch_size": 32},
}


@contextmanager
def in_a_fresh_process(configs: list[dict[str, Any]], **environment: str) -> Iterator[Callable[[], list[Any]]]:
    """Trains there while the test goes on here; gives the function that waits for the outcomes."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.engines.training", json.dumps(configs)],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def outcomes() -> list[Any]:
        stdout, stderr = process.communicate()
        assert process.returncode == 0, stderr
        return list(json.loads(stdout))

    with process:
        try:
            yield outcomes
        finally:
            process.kill()


class Recorder(keras.callbacks.Callback):
    """What a callback was told, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.logs: list[dict[str, float]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.calls.append("begin")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.calls.append(f"epoch {epoch}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.logs.append(dict(logs))

    def on_train_end(self, logs: Any = None) -> None:
        self.calls.append("end")


# ---- the trajectory ----


def test_minibatch_order_follows_from_seed_and_epoch_alone() -> None:
    """Another engine follows it and a resumed study repeats it, so the order itself must stay as it is."""
    assert minibatch_order(0, 1, 8).tolist() == [1, 3, 7, 6, 0, 4, 2, 5]
    orders = {tuple(minibatch_order(seed, epoch, 50)) for seed in range(3) for epoch in range(1, 4)}
    assert len(orders) == 9
    assert all(sorted(order) == list(range(50)) for order in orders)


@pytest.mark.slow
def test_an_epoch_is_what_keras_gives_for_these_minibatches() -> None:
    values = {key: value for key, value in PARITY.items() if key != "fixed_weights"}
    config = config_of(values)
    dataset = load(config.data)
    engine = SequentialEngine()
    engine.admit(0, config)
    set_fixed_weights(engine.model(0))
    metrics = engine.train_epoch()[0]

    model = build_model(config, dataset.image_shape, dataset.num_classes)
    set_fixed_weights(model)
    decay = keras.optimizers.schedules.InverseTimeDecay(0.002, 1, 0.1)
    model.compile(
        keras.optimizers.RMSprop(decay, momentum=0.5), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    order = minibatch_order(0, 1, 150)
    sums = np.zeros(2)
    for start in range(0, 150, 32):
        batch = order[start : start + 32]
        model.reset_metrics()  # Keras 3.12 returns the mean over all calls
        sums += len(batch) * np.array(model.train_on_batch(dataset.x_train[batch], dataset.y_train[batch]))
    val_loss, val_accuracy = model.evaluate(dataset.x_validation, dataset.y_validation, verbose=0)

    for ours, theirs in zip(engine.model(0).get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert (metrics.logs["loss"], metrics.logs["accuracy"]) == pytest.approx(tuple(sums / 150), abs=1e-4)
    assert (metrics.logs["val_loss"], metrics.logs["val_accuracy"]) == pytest.approx((val_loss, val_accuracy), abs=1e-4)
    assert metrics.logs["learning_rate"] == pytest.approx(0.002 / (1 + 0.1 * 5))


@pytest.mark.slow
def test_a_trial_is_bit_for_bit_what_a_fresh_process_gives_whatever_ran_before() -> None:
    with in_a_fresh_process([EVERYTHING]) as outcomes:
        for before in (SMALL, PARITY, {**EVERYTHING, "training": {"precision": "mixed_bfloat16", "epochs": 1}}):
            outcome(before)
        here = outcome(EVERYTHING)
        assert [here] == outcomes()
    assert here != outcome({**EVERYTHING, "training": {**EVERYTHING["training"], "seed": 4}})


@pytest.mark.jax
def test_the_same_engine_trains_on_jax() -> None:
    """From the same weights JAX follows TensorFlow, also over smaller last minibatches; dropout trains too."""
    dropout = {**SMALL, "model": {**SMALL["model"], "dropout": 0.5}, "data": {"num_train": 160, "num_validation": 256}}
    with in_a_fresh_process([PARITY, dropout], KERAS_BACKEND="jax") as outcomes:
        here = outcome(PARITY)
        parity, small = outcomes()
    for ours, theirs in zip(here["history"], parity["history"], strict=True):
        assert theirs == pytest.approx(ours, rel=1e-3)
    assert small["history"][1]["val_loss"] < small["history"][0]["val_loss"]


# ---- early stopping ----


@pytest.mark.slow
@pytest.mark.parametrize(("monitor", "best_of"), [("val_loss", np.argmin), ("val_accuracy", np.argmax)])
def test_early_stopping_keeps_the_best_weights_and_says_their_epoch(monitor: str, best_of: Any) -> None:
    training = {"epochs": 40, "batch_size": 32, "patience": 2, "monitor": monitor}
    config = config_of({**SMALL, "schedule": {"initial_rate": 0.03}, "training": training})
    engine = SequentialEngine()
    engine.admit(0, config)
    history = train_to_the_end(engine)
    best = int(best_of([metrics.logs[monitor] for metrics in history])) + 1
    assert history[-1].is_last
    assert history[-1].best_epoch == best
    assert len(history) == best + 2 < 40
    dataset = load(config.data)
    val_loss, val_accuracy = engine.model(0).evaluate(dataset.x_validation, dataset.y_validation, verbose=0)
    assert val_loss == pytest.approx(history[best - 1].logs["val_loss"], rel=1e-5)
    assert val_accuracy == pytest.approx(history[best - 1].logs["val_accuracy"], rel=1e-5)


def test_the_best_weights_are_kept_when_the_epochs_run_out_first() -> None:
    """The rate jumps so high that the epochs after the second are worse."""
    config = config_of({**SMALL, "training": {"epochs": 4, "batch_size": 32, "patience": 4}})
    engine = SequentialEngine([keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 if epoch < 2 else 10.0)])
    engine.admit(0, config)
    history = train_to_the_end(engine)
    assert [metrics.best_epoch for metrics in history] == [0, 0, 0, 2]
    dataset = load(config.data)
    val_loss, _ = engine.model(0).evaluate(dataset.x_validation, dataset.y_validation, verbose=0)
    assert val_loss == pytest.approx(history[1].logs["val_loss"], rel=1e-5)


# ---- precision, divergence, failure ----


@pytest.mark.slow
def test_mixed_precision_trains_and_leaves_the_global_policy_at_float32() -> None:
    full, mixed = (
        outcome({**SMALL, "training": {"epochs": 4, "batch_size": 32, "precision": precision}})["history"]
        for precision in ("float32", "mixed_bfloat16")
    )
    assert keras.config.dtype_policy().name == "float32"
    assert mixed != full
    assert mixed[-1]["val_loss"] == pytest.approx(full[-1]["val_loss"], rel=0.1)
    assert mixed[-1]["val_loss"] < mixed[0]["val_loss"]


def test_a_diverging_run_is_recorded_as_such() -> None:
    engine = SequentialEngine()
    engine.admit(0, config_of({**SMALL, "optimizer": {"name": "sgd"}, "schedule": {"initial_rate": 1e30}}))
    metrics = engine.train_epoch()[0]
    assert metrics.not_finite()
    assert not math.isfinite(metrics.logs["val_loss"])


@pytest.mark.slow
def test_many_short_runs_draw_no_warnings_from_tensorflow(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("tensorflow")
    logger.addHandler(caplog.handler)
    try:
        for seed in range(6):
            outcome({**SMALL, "training": {"epochs": 1, "batch_size": 150, "seed": seed}})
    finally:
        logger.removeHandler(caplog.handler)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"model": {"filters": [4] * 9}}, SpaceError),
        ({"data": {"name": "npz", "path": "no_such.npz", "num_train": None, "num_validation": None}}, DataError),
        ({"model": {"builder": "no_such_module:build"}}, SpaceError),
    ],
)
def test_a_lane_stays_free_when_a_config_cannot_start(values: dict[str, Any], error: type[Exception]) -> None:
    engine = SequentialEngine()
    with pytest.raises(error):
        engine.admit(0, config_of(values))
    assert engine.train_epoch() == {}
    engine.admit(0, config_of({**SMALL, "training": {"epochs": 1}}))
    assert engine.train_epoch()[0].is_last


# ---- callbacks ----


@pytest.mark.parametrize("ending", ["all epochs", "evicted", "stopped by a callback", "evicted before the first"])
def test_callbacks_are_told_of_epochs_and_of_the_end_once(ending: str) -> None:
    recorder = Recorder()
    last_epoch = {"all epochs": 2, "stopped by a callback": 1}.get(ending)
    callbacks: list[Any] = [recorder]
    if ending == "stopped by a callback":
        stop = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: setattr(recorder.model, "stop_training", True))
        callbacks.append(stop)
    engine = SequentialEngine(callbacks)
    engine.admit(0, config_of(SMALL))
    if ending == "evicted":
        assert not engine.train_epoch()[0].is_last
    elif last_epoch is not None:
        history = train_to_the_end(engine)
        assert (len(history), history[-1].best_epoch) == (last_epoch, last_epoch)
    engine.evict(0)
    epochs = [f"epoch {epoch}" for epoch in range(len(recorder.logs))]
    assert recorder.calls == ["begin", *epochs, "end"]
    names = {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert all(set(logs) == names for logs in recorder.logs)


def test_keras_callbacks_work_and_can_set_the_rate(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    engine = SequentialEngine(
        [
            keras.callbacks.LearningRateScheduler(lambda epoch: 0.0 if epoch else 0.01),
            keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True),
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: logs.update(mine=1.0)),
            keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: seen.append(dict(logs))),
        ]
    )
    engine.admit(0, config_of(SMALL))
    history = train_to_the_end(engine)
    assert [metrics.logs["learning_rate"] for metrics in history] == [pytest.approx(0.01), 0.0]
    assert history[0].logs["val_loss"] == history[1].logs["val_loss"]
    assert [logs["mine"] for logs in seen] == [1.0, 1.0]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["1.weights.h5", "2.weights.h5", "log.csv"]
    header, *lines = (tmp_path / "log.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert "val_accuracy" in header


def test_callbacks_know_how_long_the_training_is() -> None:
    recorder = Recorder()
    SequentialEngine([recorder]).admit(0, config_of(SMALL))
    assert (recorder.params["epochs"], recorder.params["steps"]) == (2, 5)


# ---- a user's own model ----

SUBCLASSED = """
import keras

class Net(keras.Model):
    def __init__(self, num_classes):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.dropout = keras.layers.Dropout(0.2)
        self.dense = keras.layers.Dense(num_classes, "softmax")

    def call(self, images, training=False):
        return self.dense(self.dropout(self.flatten(images), training=training))

def build(image_shape, num_classes):
    return Net(num_classes)
"""


@pytest.mark.slow
def test_a_subclassed_model_of_the_users_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_subclassed_models.py").write_text(SUBCLASSED, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    values = {"model": {"builder": "my_subclassed_models:build"}, "training": {"epochs": 5, "batch_size": 32}}
    first, again = outcome(values), outcome(values)
    assert first == again
    assert first["history"][-1]["val_loss"] < first["history"][0]["val_loss"]
