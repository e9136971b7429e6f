"""A frozen backbone keeps its weights in the first phase, trains in the second, and a resumed run equals another."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.config.trial import TrialConfig
from sweep.engines.checkpoint import CheckpointingEngine
from sweep.engines.sequential import SequentialEngine
from sweep.errors import ModelError, SpaceError
from sweep.testing.engine import train_to_the_end, without_seconds
from tests.engines.training import config_of

MODULE = """
import keras
from keras import layers

def build(image_shape, num_classes):
    backbone = keras.Sequential(
        [keras.Input(image_shape), layers.Conv2D(4, 3, activation="relu", name="stem"), layers.BatchNormalization()],
        name="backbone",
    )
    images = keras.Input(image_shape)
    x = layers.Flatten()(backbone(images, training=False))
    return keras.Model(images, layers.Dense(num_classes, "softmax", name="head")(x))
"""


@pytest.fixture
def values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    (tmp_path / "frozen_backbone.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return {
        "model": {"builder": "frozen_backbone:build"},
        "optimizer": {"name": "adam"},
        "schedule": {"initial_learning_rate": 0.01},
        "training": {"epochs": 3, "batch_size": 32, "seed": 5},
        "fine_tuning": {"freeze": ["backbone"], "frozen_epochs": 1, "learning_rate_factor": 0.5},
    }


def kernels(engine: SequentialEngine) -> dict[str, Any]:
    model = engine.model(0)
    return {
        "stem": np.array(model.get_layer("backbone").get_layer("stem").kernel),
        "head": np.array(model.get_layer("head").kernel),
    }


def test_the_backbone_trains_from_the_second_phase_on_at_its_own_rate(values: dict[str, Any]) -> None:
    engine = SequentialEngine()
    engine.admit(0, config_of(values))
    states, rates = [kernels(engine)], []
    for _ in range(2):
        rates.append(engine.train_epoch()[0].logs["learning_rate"])
        states.append(kernels(engine))
    assert np.array_equal(states[0]["stem"], states[1]["stem"])
    assert not np.array_equal(states[1]["stem"], states[2]["stem"])
    assert not np.array_equal(states[0]["head"], states[1]["head"])
    assert rates == pytest.approx([0.01, 0.005])


def test_without_frozen_epochs_the_layers_never_train(values: dict[str, Any]) -> None:
    engine = SequentialEngine()
    engine.admit(0, config_of({**values, "fine_tuning": {"freeze": ["back*"]}}))
    before = kernels(engine)["stem"]
    train_to_the_end(engine)
    assert np.array_equal(before, kernels(engine)["stem"])


@pytest.mark.slow
@pytest.mark.parametrize("stored", [1, 2])
def test_a_run_resumes_exactly_in_either_phase(values: dict[str, Any], tmp_path: Path, stored: int) -> None:
    config = config_of(values)
    engine = SequentialEngine()
    engine.admit(0, config)
    expected = without_seconds(train_to_the_end(engine))
    for epochs in (stored, 3 - stored):
        engine = CheckpointingEngine(lambda _: tmp_path / "checkpoint.npz")
        engine.admit(0, config)
        records = [engine.train_epoch()[0] for _ in range(epochs)]
    assert without_seconds(records) == expected[stored:]


def test_wrong_names_are_refused_with_those_that_exist(values: dict[str, Any]) -> None:
    engine = SequentialEngine()
    with pytest.raises(ModelError, match="backbone"):
        engine.admit(0, config_of({**values, "fine_tuning": {"freeze": ["trunk"]}}))
    with pytest.raises(ModelError, match="no weights"):
        engine.admit(0, config_of({**values, "fine_tuning": {"freeze": ["*"]}}))
    with pytest.raises(SpaceError, match="builder"):
        TrialConfig.from_values({"fine_tuning": {"freeze": ["conv"]}}, "test")
    with pytest.raises(SpaceError, match="without freeze"):
        TrialConfig.from_values({**values, "fine_tuning": {"frozen_epochs": 2}}, "test")
