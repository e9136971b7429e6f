"""ScheduleConfig -> a learning rate, or a Keras schedule of the optimizer's step t = 0, 1, 2, ...

Each update uses the rate of the number of updates made before it. With T = decay_steps:

    constant       r0
    inverse_time   r0 / (1 + decay_rate * t / T)          keras.optimizers.schedules.InverseTimeDecay
    exponential    r0 * decay_rate ** (t / T)             keras.optimizers.schedules.ExponentialDecay
    cosine         r0 * ((1 - alpha) * (1 + cos(pi * min(t, T) / T)) / 2 + alpha)
                   keras.optimizers.schedules.CosineDecay; Loshchilov and Hutter, SGDR (ICLR 2017), eq. 5, no restarts

`staircase` takes the whole part of t / T. T is 1 where not given, for cosine the steps of the whole training.
"""

from typing import Any

import keras

from sweep.config.training import ScheduleConfig

Schedules = keras.optimizers.schedules


def build_schedule(config: ScheduleConfig, total_steps: int) -> Any:
    """A float (constant) or a `keras.optimizers.schedules.LearningRateSchedule`; `total_steps` in optimizer steps.

    >>> config = ScheduleConfig(name="inverse_time", initial_learning_rate=0.001, decay_rate=0.001)
    >>> float(build_schedule(config, 1)(12194))
    7.579202792840078e-05
    """
    if config.name == "constant":
        return config.initial_learning_rate
    rate = config.initial_learning_rate
    if config.name == "cosine":
        return Schedules.CosineDecay(rate, config.decay_steps or total_steps, alpha=config.alpha or 0.0)
    decay = Schedules.InverseTimeDecay if config.name == "inverse_time" else Schedules.ExponentialDecay
    return decay(rate, config.decay_steps or 1, config.decay_rate, staircase=config.staircase)
