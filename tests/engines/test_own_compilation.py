"""A builder's compiled model keeps its optimizer, loss and metrics, and keys that would contradict it are refused."""

from pathlib import Path
from typing import Any

import pytest

from sweep.config.trial import TrialConfig
from sweep.engines.sequential import SequentialEngine
from sweep.errors import ModelError
from sweep.results.retrain import Retraining
from sweep.testing.engine import train_to_the_end, without_seconds
from tests.engines.training import config_of

MODULE = """
import keras
from keras import layers

def build(image_shape, num_classes, loss="", metrics=("accuracy",), from_logits=False):
    model = keras.Sequential(
        [keras.Input(image_shape), layers.Flatten(), layers.Dense(num_classes, None if from_logits else "softmax")]
    )
    if from_logits:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if loss:
        model.compile(keras.optimizers.Adam(0.02), loss=loss, metrics=[*metrics])
    return model
"""
ADAM = {"optimizer": {"name": "adam"}, "schedule": {"initial_learning_rate": 0.02}}


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "compiling.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def config(options: dict[str, Any], **sections: Any) -> TrialConfig:
    training = {"epochs": 2, "batch_size": 32, "seed": 5, **sections.pop("training", {})}
    model = {"builder": "compiling:build", "options": options}
    return config_of({"model": model, "training": training, **sections})


def train(wanted: TrialConfig) -> list[Any]:
    engine = SequentialEngine()
    engine.admit(0, wanted)
    return without_seconds(train_to_the_end(engine))


@pytest.mark.slow
def test_it_trains_as_a_config_of_the_same_optimizer_and_loss() -> None:
    assert train(config({"loss": "sparse_categorical_crossentropy"})) == train(config({}, **ADAM))


@pytest.mark.slow
def test_its_metrics_are_recorded_and_its_loss_gets_the_labels_it_takes(tmp_path: Path) -> None:
    wanted = config({"loss": "categorical_crossentropy", "metrics": ["accuracy", "mse"]})
    history = train(wanted)
    assert {"accuracy", "val_accuracy", "mse", "val_mse"} <= history[-1].keys()
    content = Retraining(wanted, 1, tmp_path / "models", lambda _: None, lambda: None).run()
    assert content["seeds"][0]["test_accuracy"] > 0.2


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        (ADAM, r"optimizer\.name"),
        ({"schedule": {"initial_learning_rate": 0.02}}, r"schedule\.initial_learning_rate"),
        ({"training": {"label_smoothing": 0.1}}, r"training\.label_smoothing"),
        ({"fine_tuning": {"freeze": ["dense*"], "frozen_epochs": 1}}, r"fine_tuning\.frozen_epochs"),
    ],
)
def test_keys_without_effect_are_refused_by_name(sections: dict[str, Any], key: str) -> None:
    with pytest.raises(ModelError, match=key):
        SequentialEngine().admit(0, config({"loss": "sparse_categorical_crossentropy"}, **sections))


def test_what_cannot_be_scored_is_refused() -> None:
    with pytest.raises(ModelError, match="accuracy"):
        SequentialEngine().admit(
            0, config({"loss": "sparse_categorical_crossentropy", "metrics": ["sparse_top_k_categorical_accuracy"]})
        )
    with pytest.raises(ModelError, match="from_logits"):
        SequentialEngine().admit(0, config({"from_logits": True}))
    mixed = config({"loss": "sparse_categorical_crossentropy"}, augmentation={"mixup": 0.2})
    with pytest.raises(ModelError, match="mixup"):
        SequentialEngine().admit(0, mixed)
