"""A lane's arrays before its first step: what the sequential engine would start from, to the bit."""

import threading
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from sweep.config.trial import TrialConfig
from sweep.data import Dataset
from sweep.engines.backends import current_backend
from sweep.engines.class_weights import class_weights
from sweep.engines.packed.structure import Structure, lane_numbers
from sweep.engines.packed.updates import NUM_SLOTS
from sweep.engines.schedules import build_schedule
from sweep.models.build import seeded_layers

_SEEDING = threading.Lock()  # layers draw their seeds from Python's own generator, which all threads share


class LaneArrays(NamedTuple):
    """A lane's state and numbers. Here as NumPy arrays; a program holds the same with its own tensors or variables.

    Floats are of Keras's floatx.
    """

    weights: list[Any]  # the model's trainable variables, in its order
    slots: list[list[Any]]  # of each weight, the optimizer's
    statistics: list[Any]  # moving mean and variance of each batch normalization
    dropout_seeds: list[Any]  # of each dropout (2,): seed and number of draws, as Keras's SeedGenerator holds them
    numbers: Any  # LaneNumbers, as a vector
    widths: Any  # (number of widths,) int32
    class_weights: list[Any]  # of each class (Y,) in the training loss; empty where all count alike
    masks: list[Any]  # bool, of each padded weight: which entries are the lane's own; empty where nothing is padded


class EpochInput(NamedTuple):
    """What an epoch of a lane needs beside its state. S steps of an epoch, N images."""

    order_N: NDArray[np.int32]  # rows to train on, in the order of their minibatches
    rates_S: NDArray[Any]  # learning rate of each step
    products_S: NDArray[Any]  # nadam's product of momentums at each step, or ones
    num_updates: np.int32  # made before the epoch
    validation_V: NDArray[np.int32]  # rows to validate on


def initial_arrays(config: TrialConfig, structure: Structure, dataset: Dataset) -> LaneArrays:
    """Initial weights and dropout seeds from `training.layers_seed`; class weights from the dataset's training part."""
    dtype, widths, kernel = keras.config.floatx(), config.model.lane_widths, structure.kernel
    with _SEEDING:
        layers = seeded_layers(config, kernel.image_shape, kernel.num_classes)
    by_class = class_weights(config, dataset)
    weights, statistics = kernel.initial_weights(layers, widths), kernel.statistics_shapes(widths)
    seeds = [layer.seed_generator.state for layer in layers if isinstance(layer, keras.layers.Dropout)]
    return LaneArrays(
        weights=weights,
        slots=[[np.zeros_like(weight) for _ in range(NUM_SLOTS[structure.optimizer])] for weight in weights],
        statistics=[np.full(shape, index % 2, dtype) for index, shape in enumerate(statistics)],
        dropout_seeds=[ops.convert_to_numpy(seed) for seed in seeds],
        numbers=np.asarray(lane_numbers(config).vector(), dtype),
        widths=np.asarray(widths, np.int32),
        class_weights=[] if by_class is None else [by_class.astype(dtype)],
        masks=[],
    )


def learning_rates(config: TrialConfig, num_steps: int) -> NDArray[Any]:
    """The rate after t = 0 .. num_steps updates (num_steps + 1,), by Keras's own schedule, all at once."""
    dtype = keras.config.floatx()
    schedule = build_schedule(config.schedule, num_steps)
    if isinstance(schedule, float):
        return np.full(num_steps + 1, schedule, dtype)
    if config.schedule.staircase:  # compiled, some backends begin some stairs an update later than otherwise
        schedule = current_backend().as_compiled(schedule)
    return np.asarray(ops.convert_to_numpy(schedule(ops.arange(num_steps + 1, dtype="int32"))), dtype)
