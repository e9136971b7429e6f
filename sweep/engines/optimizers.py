"""OptimizerConfig and ScheduleConfig -> a fresh Keras optimizer, with Keras's defaults for what a config leaves out."""

from typing import Any

import keras

from sweep.config.training import OptimizerConfig, ScheduleConfig
from sweep.engines.schedules import build_schedule

CLASSES = {
    "rmsprop": keras.optimizers.RMSprop,
    "nadam": keras.optimizers.Nadam,
    "adamax": keras.optimizers.Adamax,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
}


def build_optimizer(config: OptimizerConfig, schedule: ScheduleConfig, total_steps: int) -> Any:
    """A `keras.optimizers.Optimizer`; `total_steps` (optimizer steps of the whole training) sets cosine's length."""
    options: dict[str, Any] = {"learning_rate": build_schedule(schedule, total_steps)}
    if config.momentum is not None:
        options["momentum"] = config.momentum
    if config.nesterov:
        options["nesterov"] = True
    if config.weight_decay is not None:
        options["weight_decay"] = config.weight_decay
    return CLASSES[config.name](**options)
