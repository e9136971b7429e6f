"""The loss is the one that the config names, in lanes as in the sequential engine: on JAX by `nox -s tests_jax`."""

from typing import Any

import numpy as np
import pytest

from sweep.config.trial import TrialConfig
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.sequential import SequentialEngine
from sweep.errors import SpaceError
from sweep.testing.engine import train_to_the_end
from tests.engines.training import config_of

CHOICES: list[dict[str, Any]] = [
    {"label_smoothing": 0.1, "class_weight": {"3": 5.0}},
    {"loss": "binary_crossentropy", "label_smoothing": 0.2},
    {"loss": "categorical_focal_crossentropy"},
    {"loss": "mean_squared_error", "class_weight": "balanced"},
]


def with_loss(**training: Any) -> TrialConfig:
    return config_of(
        {
            "model": {"filters": [4], "dropout": 0.2},
            "regularizer": {"l2": 0.001},
            "optimizer": {"name": "adam"},
            "training": {"epochs": 2, "batch_size": 33, **training},
        }
    )


def logs(engine: Any, config: TrialConfig) -> list[list[float]]:
    engine.admit(0, config)
    history = train_to_the_end(engine)
    engine.evict(0)
    return [[record.logs[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")] for record in history]


@pytest.mark.slow
@pytest.mark.parametrize("training", CHOICES, ids=lambda training: next(iter(training.values())))
def test_a_lane_trains_as_the_sequential_engine(training: dict[str, Any]) -> None:
    config = with_loss(**training)
    expected = logs(SequentialEngine(), config)
    np.testing.assert_allclose(logs(PackedEngine(1, 1), config), expected, rtol=3e-5)
    assert expected != logs(SequentialEngine(), with_loss())


@pytest.mark.slow
def test_smoothing_is_an_input_of_one_program() -> None:
    engine, num_compilations, first_losses = PackedEngine(1, 1), set(), set()
    for label_smoothing in (0.1, 0.3):
        first_losses.add(logs(engine, with_loss(label_smoothing=label_smoothing, epochs=1))[0][0])
        num_compilations.add(engine.num_compilations)
    assert len(num_compilations) == 1
    assert len(first_losses) == 2


def test_a_config_with_the_default_loss_is_written_as_before() -> None:
    values = with_loss().values()["training"]
    assert {"loss", "label_smoothing"}.isdisjoint(values)
    assert with_loss(label_smoothing=0.1).values()["training"]["label_smoothing"] == 0.1


def test_keys_that_a_distance_does_not_take_are_refused() -> None:
    with pytest.raises(SpaceError, match="label_smoothing"):
        with_loss(loss="mean_squared_error", label_smoothing=0.1)
