"""Runs on packed lanes end as the sequential engine's do: early stopping, kept weights, models, users' builders."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.engines.base import EpochRecord
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.sequential import SequentialEngine
from sweep.engines.weak_lru_cache import WeakLruCache
from sweep.models.build import build_model
from sweep.testing.engine import train_to_the_end
from tests.engines.packed.packing import Trained, train_all, weights_of
from tests.engines.training import config_of

SMALL: dict[str, Any] = {
    "data": {"num_train": 64, "num_validation": 80},
    "model": {"filters": [3], "dense_units": 8, "batch_norm": True, "dropout": 0.3},
    "optimizer": {"name": "adam"},
    "schedule": {"initial_learning_rate": 0.02},
    "training": {"epochs": 12, "batch_size": 32},
}
WIDEST = [(5, 11)]
BUILDER = """
import keras

def build(image_shape, num_classes, units):
    hidden = [keras.layers.Dense(units, "relu"), keras.layers.Dropout(0.3)]
    return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(), *hidden,
                             keras.layers.Dense(num_classes, "softmax")])
"""
PROGRAMS: WeakLruCache[Any, Any] = WeakLruCache(99)


@pytest.fixture
def engine() -> PackedEngine:
    """Two lanes; what is compiled is kept for the tests after."""
    engine = PackedEngine(2, 2, widest=WIDEST)
    engine._programs = PROGRAMS
    return engine


def small(**training: Any) -> TrialConfig:
    return config_of({**SMALL, "training": {**SMALL["training"], **training}})


def both(engine: PackedEngine, config: TrialConfig) -> tuple[list[EpochRecord], list[EpochRecord], SequentialEngine]:
    """Records of lane 1 and of the sequential engine, which still hold their models."""
    sequential = SequentialEngine()
    engine.admit(1, config)
    sequential.admit(0, config)
    return train_to_the_end(engine, 1), train_to_the_end(sequential), sequential


def assert_model_gives(model: Any, config: TrialConfig, metrics: EpochRecord) -> None:
    dataset = load(config.data)
    loss, accuracy = model.evaluate(dataset.x_validation, dataset.y_validation, verbose=0)
    assert loss == pytest.approx(metrics.logs["val_loss"], rel=1e-5)
    assert accuracy == pytest.approx(metrics.logs["val_accuracy"], abs=1e-6)


# ---- early stopping ----


@pytest.mark.slow
@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy", "val_f1_macro"])
def test_early_stopping_is_the_sequential_engines(monitor: str, engine: PackedEngine) -> None:
    """The same last and best epoch, and a model with the best epoch's weights and statistics."""
    sgd = {"optimizer": {"name": "sgd", "momentum": 0.5}, "schedule": {"initial_learning_rate": 0.5}}
    training = {"patience": 2, "monitor": monitor, "epochs": 30, "batch_size": 32}
    config = config_of({**SMALL, **sgd, "training": training})
    ours, theirs, sequential = both(engine, config)
    assert (len(ours), ours[-1].best_epoch, ours[-1].is_last) == (len(theirs), theirs[-1].best_epoch, True)
    assert ours[-1].best_epoch == len(ours) - 2 < 28
    assert not any(metrics.is_last for metrics in ours[:-1])
    for mine, other in zip(engine.model(1).get_weights(), sequential.model(0).get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, atol=2e-3)
    assert_model_gives(engine.model(1), config, ours[ours[-1].best_epoch - 1])


def test_metrics_are_the_sequential_engines(engine: PackedEngine) -> None:
    """Of lanes side by side, which are padded on JAX; one of them asks for none."""
    metrics, training = ["val_f1_macro", "val_balanced_accuracy"], {**SMALL["training"], "epochs": 2}
    model = {"filters": [3], "dense_units": 8}
    engine.admit(0, config_of({**SMALL, "model": {**model, "filters": [5]}, "training": training}))
    ours, theirs, _ = both(engine, config_of({**SMALL, "model": model, "training": {**training, "metrics": metrics}}))
    assert [*ours[0].logs][-2:] == metrics
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.logs == pytest.approx(other.logs, rel=1e-4)


@pytest.mark.slow
def test_weights_of_a_seed_of_their_own_are_the_sequential_engines(engine: PackedEngine) -> None:
    config = small(epochs=2, weights_seed=5, seed=6)
    ours, theirs, _ = both(engine, config)
    assert [one.logs["loss"] for one in ours] == pytest.approx([one.logs["loss"] for one in theirs], rel=1e-4)
    engine.evict(1)
    other, _, _ = both(engine, small(epochs=2, seed=6))
    assert other[0].logs["loss"] != pytest.approx(ours[0].logs["loss"], rel=1e-4)


def test_a_lane_that_stopped_early_trains_no_more_beside_one_that_goes_on(engine: PackedEngine) -> None:
    engine.admit(0, small(patience=1, epochs=30))
    engine.admit(1, small(epochs=30))
    rounds = []
    while outcomes := engine.train_epoch():
        rounds.append(set(outcomes))
    num_epochs = sum(0 in lanes for lanes in rounds)
    assert 1 < num_epochs < 30
    assert rounds == [{0, 1}] * num_epochs + [{1}] * (30 - num_epochs)


def test_an_evicted_run_may_be_patient(engine: PackedEngine) -> None:
    """Early stopping puts weights back when a run ends; one that was evicted before its first epoch has none."""
    engine.admit(0, small(patience=1))
    engine.evict(0)
    engine.admit(0, small(patience=1))
    engine.train_epoch()
    engine.evict(0)
    assert engine.train_epoch() == {}


# ---- the model ----


def test_the_model_of_a_lane_is_what_the_records_say_at_each_epoch(engine: PackedEngine) -> None:
    """Compiled, with moving statistics, unpadded where a lane is padded; and looking at it changes nothing."""
    config = small(epochs=3)
    shapes = [array.shape for array in build_model(config, (8, 8, 1), 10).get_weights()]
    engine.admit(0, config)
    undisturbed = Trained.of(train_to_the_end(engine), weights_of(engine, 0))
    engine.admit(1, config)
    history = []
    for _ in range(3):
        history.append(engine.train_epoch()[1])
        assert isinstance(history[-1], EpochRecord)
        model = engine.model(1)
        assert_model_gives(model, config, history[-1])
    assert [array.shape for array in model.get_weights()] == shapes
    assert Trained.of(history, weights_of(engine, 1)) == undisturbed  # type: ignore[arg-type]


# ---- a user's own builder ----


def test_a_users_builder_beside_built_in_ones_is_trained_as_by_the_sequential_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: PackedEngine
) -> None:
    (tmp_path / "my_packed_models.py").write_text(BUILDER, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    few = {"epochs": 3, "batch_size": 30}
    mine = config_of(
        {
            "data": SMALL["data"],
            "model": {"builder": "my_packed_models:build", "options": {"units": 7}},
            "training": few,
        }
    )
    own, *built_in = (Trained.of(records, []) for records in train_all(engine, [mine, small(**few), small(**few)]))
    sequential = SequentialEngine()
    sequential.admit(0, mine)
    assert own == Trained.of(train_to_the_end(sequential), [])
    alone = PackedEngine(1, widest=WIDEST)
    alone._programs = PROGRAMS
    assert built_in == [Trained.of(train_all(alone, [small(**few)])[0], [])] * 2
