"""Optimizers: the class, the options and the rate that the config names, and nothing carried over."""

from typing import Any

import keras
import numpy as np
import pytest

from sweep.config.training import OPTIMIZERS, OptimizerConfig, ScheduleConfig
from sweep.engines.optimizers import build_optimizer

KERAS_CLASSES = {
    "rmsprop": keras.optimizers.RMSprop,
    "nadam": keras.optimizers.Nadam,
    "adamax": keras.optimizers.Adamax,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
}


def steps(optimizer: Any, num_steps: int = 3) -> np.ndarray:
    """A variable that starts at 1 and 2 after steps along fixed gradients."""
    variable = keras.Variable(np.array([1.0, 2.0], np.float32))
    for step in range(num_steps):
        optimizer.apply([np.array([0.1, -0.2 * (step + 1)], np.float32)], [variable])
    return np.array(variable.numpy())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_name_is_keras_optimizer_with_its_defaults(name: str) -> None:
    optimizer = build_optimizer(OptimizerConfig(name=name), ScheduleConfig(initial_learning_rate=0.02), 10)
    assert type(optimizer) is KERAS_CLASSES[name]
    np.testing.assert_array_equal(steps(optimizer), steps(KERAS_CLASSES[name](learning_rate=0.02)))


@pytest.mark.parametrize(
    "options",
    [
        {"name": "sgd", "momentum": 0.9},
        {"name": "sgd", "momentum": 0.9, "nesterov": True},
        {"name": "rmsprop", "momentum": 0.5},
        {"name": "adamw", "weight_decay": 0.3},
    ],
)
def test_options_reach_keras_and_change_the_steps(options: dict[str, Any]) -> None:
    built = steps(build_optimizer(OptimizerConfig(**options), ScheduleConfig(initial_learning_rate=0.02), 10))
    keras_options = {key: value for key, value in options.items() if key != "name"}
    expected = steps(KERAS_CLASSES[options["name"]](learning_rate=0.02, **keras_options))
    np.testing.assert_array_equal(built, expected)
    assert not np.array_equal(built, steps(KERAS_CLASSES[options["name"]](learning_rate=0.02)))


def test_the_first_update_uses_the_initial_rate_and_the_next_ones_decay() -> None:
    schedule = ScheduleConfig(name="inverse_time", initial_learning_rate=1.0, decay_rate=1.0)
    optimizer = build_optimizer(OptimizerConfig(name="sgd"), schedule, 10)
    moved = 2.0 - steps(optimizer)[1]
    assert moved == pytest.approx(-(0.2 / 1 + 0.4 / 2 + 0.6 / 3))


def test_cosine_without_decay_steps_ends_with_the_training() -> None:
    optimizer = build_optimizer(OptimizerConfig(name="sgd"), ScheduleConfig(name="cosine"), total_steps=3)
    steps(optimizer)
    assert float(optimizer.learning_rate) == pytest.approx(0, abs=1e-9)
