"""Random configs on few digits, over all that the packed engine computes; rates that do not diverge.

Their numbers are float32's, as Keras on TensorFlow rounds some of its constants to float32 whatever the precision.
"""

from typing import Any, get_args

import numpy as np

from sweep.config.training import OPTIMIZERS, ScheduleName
from sweep.config.trial import TrialConfig
from sweep.errors import SpaceError
from sweep.models.cnn.config import CnnConfig
from tests.engines.training import config_of

SCHEDULES = get_args(ScheduleName)
NUM_IMAGES, NUM_STEPS = 24, 100
NUM_CNNS = 24
BATCH_SIZES = (13, 10, 7, 6)  # two to four steps an epoch; the last is smaller but for 6


def draw_config(index: int, precision: str = "float32") -> TrialConfig:
    """Config 0, 1, ...: 24 of them hold each optimizer with each schedule, six each optimizer; then come MLPs."""
    generator = np.random.default_rng([2026, index])
    optimizer, schedule = OPTIMIZERS[index % 6], SCHEDULES[(index // 6 + index) % 4]
    batch_size = BATCH_SIZES[int(generator.integers(4))]
    num_steps = -(-NUM_IMAGES // batch_size)
    training = {"epochs": -(-NUM_STEPS // num_steps), "batch_size": batch_size, "precision": precision}
    values: dict[str, Any] = {
        "data": {"num_train": NUM_IMAGES, "num_validation": 10},
        "model": _model(generator) if index < NUM_CNNS else _mlp(generator),
        "regularizer": _regularizer(generator, "all" if index < NUM_CNNS else "hidden"),
        "optimizer": _optimizer(generator, optimizer),
        "schedule": _schedule(generator, schedule, largest_rate=0.03 if optimizer == "sgd" else 0.003),
        "training": {**training, "seed": int(generator.integers(2**31))},
    }
    return config_of(values)


def other_run(config: TrialConfig, index: int) -> TrialConfig:
    """A run of the same structure with another seed, other widths and another rate."""
    values = config.values()
    values["training"]["seed"] = index
    if config.model.family == "mlp":
        values["model"]["hidden_units"] = [2 + (units + index) % 9 for units in config.model.hidden_units]
    else:
        values["model"]["filters"] = [1 + (filters + index) % 7 for filters in config.model.filters]
        values["model"]["dense_units"] = 2 + (config.model.dense_units + index) % 9
    values["schedule"]["initial_learning_rate"] = config.schedule.initial_learning_rate / (1 + index % 3)
    return TrialConfig.from_values(values, "test")


def _model(generator: np.random.Generator) -> dict[str, Any]:
    while True:
        choices: dict[str, Any] = {
            "filters": [int(filters) for filters in generator.integers(2, 7, generator.integers(1, 4))],
            "kernel_size": int(generator.integers(2, 4)),
            "pool_size": int(generator.integers(1, 3)),
            "padding": _choose(generator, "valid", "same"),
        }
        choices["convolutions_per_pool"] = 2 if len(choices["filters"]) == 3 else 1
        try:
            CnnConfig(**choices).feature_map_sides(8, 8)
        except SpaceError:
            continue
        return {
            **choices,
            "activation": _choose(generator, "relu", "sigmoid", "elu", "tanh"),
            "dense_units": int(generator.integers(3, 11)),
            "output_activation": _choose(generator, "softmax", "sigmoid"),
            "kernel_initializer": _choose(generator, "glorot_uniform", "he_normal", "lecun_uniform"),
            "convolution_dropout": _choose(generator, 0.0, 0.2),
            "dropout": _choose(generator, 0.0, 0.25, 0.4),
            "batch_normalization": _choose(generator, False, True),
        }


def _mlp(generator: np.random.Generator) -> dict[str, Any]:
    return {
        "family": "mlp",
        "hidden_units": [int(units) for units in generator.integers(3, 11, generator.integers(1, 4))],
        "activation": _choose(generator, "relu", "sigmoid", "elu", "tanh"),
        "output_activation": _choose(generator, "softmax", "sigmoid"),
        "kernel_initializer": _choose(generator, "uniform", "glorot_normal", "he_uniform"),
        "dropout": _choose(generator, 0.25, 0.4),
    }


def _regularizer(generator: np.random.Generator, scope: str) -> dict[str, Any]:
    return {
        "l1": _choose(generator, 0.0, _log_uniform(generator, 1e-5, 1e-3)),
        "l2": _choose(generator, 0.0, _log_uniform(generator, 1e-5, 1e-2)),
        "scope": _choose(generator, "dense", scope),
    }


def _optimizer(generator: np.random.Generator, name: str) -> dict[str, Any]:
    momentum = {"momentum": _float32(generator.uniform(0, 0.9))}
    options = {
        "sgd": {**momentum, "nesterov": _choose(generator, False, True)},
        "rmsprop": momentum,
        "adamw": {"weight_decay": _log_uniform(generator, 1e-3, 1e-1)},
    }
    return {"name": name, **options.get(name, {})}


def _schedule(generator: np.random.Generator, name: str, largest_rate: float) -> dict[str, Any]:
    steps = {"decay_steps": int(generator.integers(5, 60)), "staircase": _choose(generator, False, True)}
    options = {
        "inverse_time": {"decay_rate": _log_uniform(generator, 1e-3, 1e-1), **steps},
        "exponential": {"decay_rate": _float32(generator.uniform(0.8, 1.0)), **steps},
        "cosine": {"alpha": _choose(generator, None, 0.125)},
    }
    return {
        "name": name,
        "initial_learning_rate": _log_uniform(generator, largest_rate / 30, largest_rate),
    } | options.get(name, {})


def _choose(generator: np.random.Generator, *choices: Any) -> Any:
    return choices[generator.integers(len(choices))]


def _log_uniform(generator: np.random.Generator, low: float, high: float) -> float:
    return _float32(np.exp(generator.uniform(np.log(low), np.log(high))))


def _float32(value: float) -> float:
    return float(np.float32(value))
