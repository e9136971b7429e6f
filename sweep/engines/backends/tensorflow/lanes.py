"""Lanes on TensorFlow: one compiled program a structure, whatever the widths. Twin of `lanes_jax`.

A lane is a set of variables of free shape which the program updates in place: traced once, then called for each lane,
from several threads at a time. An operation keeps to one thread (`devices` sets that): on small nets lanes side by side
were twice as fast as lanes that share the threads, and faster than batched matrix products over patches.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from sweep.data import Dataset
from sweep.engines.backends.base import EVALUATION_BATCH_SIZE, Pause, Source
from sweep.engines.backends.tensorflow.steps import minibatch
from sweep.engines.packed.model import forward, loss, num_correct
from sweep.engines.packed.start import EpochInput, LaneArrays
from sweep.engines.packed.structure import LaneNumbers, Structure
from sweep.engines.packed.updates import update
from sweep.models.lane_kernel import Tensor, Widths

Range = tuple[int, int]


def lanes_per_call() -> int:
    """Lanes of one call: they run side by side in threads, not in one call."""
    return 1


def fitted(structure: Structure, dataset: Dataset, _: Widths, __: Sequence[Widths]) -> Structure:
    """The structure of a lane's program: widths are free."""
    num_images = len(dataset.train) + len(dataset.validation)
    return replace(structure, kernel=structure.kernel.fitted(batches_lanes=False, num_images=num_images))


class LaneProgram:
    """Training and validation of one structure. A lane is a `LaneArrays` of variables; images are inputs too."""

    def __init__(self, structure: Structure, images_per_call: int) -> None:
        """A call covers at most so many images."""
        self._structure = structure
        self._steps_per_call = max(1, images_per_call // structure.batch_size)
        self._evaluations_per_call = max(1, images_per_call // EVALUATION_BATCH_SIZE)
        self._program = tf.function(self._steps, autograph=False)
        self._predictions = tf.function(self._predict_step, autograph=False)
        self._free: list[LaneArrays] = []

    @property
    def num_compilations(self) -> int:
        """How often something was traced."""
        programs = (self._program, self._predictions)
        return sum(int(program.experimental_get_tracing_count()) for program in programs)

    def start(self, arrays: LaneArrays) -> LaneArrays:
        """A lane that begins with these arrays. Variables of a released one are taken over, whatever their shapes."""
        arrays = _flat(arrays)
        if not self._free:
            return tf.nest.map_structure(_variable, arrays)  # type: ignore[no-any-return]
        lane = self._free.pop()
        tf.nest.map_structure(lambda variable, values: variable.assign(values), lane, arrays)
        return lane

    def release(self, lane: LaneArrays) -> None:
        """Its variables may be taken over."""
        self._free.append(lane)

    def read(self, lane: LaneArrays) -> LaneArrays:
        """The lane as NumPy arrays, without slots."""
        lane = tf.nest.map_structure(lambda variable: variable.numpy(), lane)
        shapes = self._structure.kernel.weight_shapes(tuple(int(width) for width in lane.widths))
        parts = np.split(lane.weights[0], np.cumsum([math.prod(shape) for shape in shapes])[:-1])
        weights = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        return lane._replace(weights=weights, slots=[])

    def write(self, lane: LaneArrays, weights: Sequence[NDArray[Any]], statistics: Sequence[NDArray[Any]]) -> None:
        """Give the lane other weights and statistics."""
        values = ([_joined(weights)], [*statistics])
        tf.nest.map_structure(lambda variable, value: variable.assign(value), (lane.weights, lane.statistics), values)

    def train_epoch(
        self,
        lanes: Sequence[LaneArrays],
        inputs: Sequence[EpochInput],
        images: Source,
        lanes_per_call: int,
        pause: Pause,
    ) -> NDArray[Any]:
        """One epoch of each lane and a validation: sums (lanes, 2, 2) of both.

        Sums are of each minibatch's loss times its size, and of the images that were classified rightly.
        """
        assert lanes_per_call == 1
        (lane,), (given,) = lanes, tf.nest.map_structure(tf.constant, list(inputs))
        sums = tf.zeros((2, 2), lane.numbers.dtype)
        for steps, evaluations in self._calls(len(inputs[0].order_N), len(inputs[0].validation_V)):
            sums = self._call(lane, given, images, tf.constant(steps), tf.constant(evaluations), sums)
            pause()
        return sums.numpy()[None]  # type: ignore[no-any-return]

    def predict(
        self,
        lanes: Sequence[LaneArrays],
        inputs: Sequence[EpochInput],
        images: Source,
        lanes_per_call: int,
        pause: Pause,
    ) -> NDArray[Any]:
        """The outputs (lanes, V, num_classes) of each lane for the images of its validation."""
        assert lanes_per_call == 1
        (lane,), validation_V, outputs = lanes, inputs[0].validation_V, []
        for start in range(0, len(validation_V), EVALUATION_BATCH_SIZE):
            rows_B = tf.constant(validation_V[start : start + EVALUATION_BATCH_SIZE])
            specs = tf.nest.map_structure(_spec_of_any_length, (images, rows_B))
            outputs.append(self._predictions.get_concrete_function(lane, *specs)(lane, images, rows_B).numpy())
            pause()
        return np.concatenate(outputs)[None]

    def _call(self, lane: LaneArrays, *given: Any) -> Tensor:
        """Traced for arrays of any length: the program serves every dataset."""
        specs = tf.nest.map_structure(_spec_of_any_length, given)
        return self._program.get_concrete_function(lane, *specs)(lane, *given)

    def _calls(self, num_images: int, num_validation: int) -> Iterator[tuple[Range, Range]]:
        """Steps and evaluations of each call: all in one, or so many that `pause` is not kept waiting."""
        num_steps = -(-num_images // self._structure.batch_size)
        num_evaluations = -(-num_validation // EVALUATION_BATCH_SIZE)
        if num_steps <= self._steps_per_call and num_evaluations <= self._evaluations_per_call:
            yield (0, num_steps), (0, num_evaluations)
            return
        for start in range(0, num_steps, self._steps_per_call):
            yield (start, min(start + self._steps_per_call, num_steps)), (0, 0)
        for start in range(0, num_evaluations, self._evaluations_per_call):
            yield (0, 0), (start, min(start + self._evaluations_per_call, num_evaluations))

    def _steps(
        self,
        lane: LaneArrays,
        given: EpochInput,
        images: Source,
        steps: Tensor,
        evaluations: Tensor,
        sums: Tensor,
    ) -> Tensor:
        trained = self._train_steps(lane, given, images, steps[0], steps[1], sums[0])
        with tf.control_dependencies([trained]):
            validated = self._evaluation_steps(lane, given, images, evaluations[0], evaluations[1], sums[1])
        return tf.stack([trained, validated])

    def _train_steps(
        self, lane: LaneArrays, given: EpochInput, images: Source, start: Tensor, stop: Tensor, sums: Tensor
    ) -> Tensor:
        size, numbers, shapes = self._structure.batch_size, _numbers(lane), self._shapes(lane)

        def body(step: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
            batch = minibatch(images, given.order_N[step * size : (step + 1) * size])
            return step + 1, sums + self._train_step(lane, numbers, shapes, batch, given, step)

        return tf.while_loop(lambda step, _: step < stop, body, (start, sums))[1]

    def _train_step(
        self,
        lane: LaneArrays,
        numbers: LaneNumbers,
        shapes: list[Tensor],
        batch: tuple[Tensor, Tensor],
        given: EpochInput,
        step: Tensor,
    ) -> Tensor:
        images_BHWC, labels_B = batch
        flat, statistics = lane.weights[0].read_value(), [variable.read_value() for variable in lane.statistics]
        with tf.GradientTape() as tape:
            tape.watch(flat)
            weights = _parts(flat, shapes)
            probabilities_BY, moved = forward(
                self._structure,
                weights,
                statistics,
                images_BHWC,
                lambda x, layer: self._drop(x, layer, lane, numbers),
            )
            by_class = [variable.read_value() for variable in lane.class_weights]
            total = loss(self._structure, weights, numbers, labels_B, probabilities_BY, by_class)
        gradient, slots = tape.gradient(total, flat), [slot.read_value() for slot in lane.slots[0]]
        rate, product = given.rates_S[step], given.products_S[step]
        number = tf.cast(given.num_updates + step + 1, rate.dtype)
        flat, slots = update(self._structure.optimizer, flat, gradient, slots, numbers, rate, product, number)
        targets, values = [*lane.weights, *lane.slots[0], *lane.statistics], [flat, *slots, *moved]
        tf.nest.map_structure(lambda target, value: target.assign(value), targets, values)
        return tf.stack([total * tf.cast(tf.size(labels_B), total.dtype), num_correct(labels_B, probabilities_BY)])

    def _drop(self, x: Tensor, layer: int, lane: LaneArrays, numbers: LaneNumbers) -> Tensor:
        number = self._structure.dropout_number(layer)
        return _dropout(x, *numbers.dropout(number), lane.dropout_seeds[number])

    def _evaluation_steps(
        self, lane: LaneArrays, given: EpochInput, images: Source, start: Tensor, stop: Tensor, sums: Tensor
    ) -> Tensor:
        numbers, weights = _numbers(lane), _parts(lane.weights[0].read_value(), self._shapes(lane))
        statistics = [variable.read_value() for variable in lane.statistics]

        def body(step: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
            rows_B = given.validation_V[step * EVALUATION_BATCH_SIZE : (step + 1) * EVALUATION_BATCH_SIZE]
            images_BHWC, labels_B = minibatch(images, rows_B)
            probabilities_BY, _ = forward(self._structure, weights, statistics, images_BHWC, None)
            total = loss(self._structure, weights, numbers, labels_B, probabilities_BY)
            size = tf.cast(tf.size(labels_B), total.dtype)
            return step + 1, sums + tf.stack([total * size, num_correct(labels_B, probabilities_BY)])

        return tf.while_loop(lambda step, _: step < stop, body, (start, sums))[1]

    def _predict_step(self, lane: LaneArrays, images: Source, rows_B: Tensor) -> Tensor:
        weights = _parts(lane.weights[0].read_value(), self._shapes(lane))
        statistics = [variable.read_value() for variable in lane.statistics]
        images_BHWC, _ = minibatch(images, rows_B)
        return forward(self._structure, weights, statistics, images_BHWC, None)[0]

    def _shapes(self, lane: LaneArrays) -> list[Tensor]:
        """Of each weight, known when it runs."""
        widths = tf.unstack(lane.widths, len(self._structure.kernel.dropouts))
        return [tf.stack(shape) for shape in self._structure.kernel.weight_shapes(tuple(widths))]


def _spec_of_any_length(tensor: Tensor) -> tf.TensorSpec:
    return tf.TensorSpec([None, *tensor.shape[1:]] if tensor.shape.rank else [], tensor.dtype)


def _dropout(x: Tensor, rate: Tensor, kept: Tensor, seed: Any) -> Tensor:
    """keras.random.dropout with its rate, and `kept` = 1 - rate, as inputs; `seed` (2,) int64 counts draws, as a
    SeedGenerator does.
    """
    drawn = tf.cast(tf.math.floormod(seed.read_value(), tf.int32.max - 1), tf.int32)
    seed.assign_add([0, 1])
    is_kept = tf.random.stateless_uniform(tf.shape(x), drawn, dtype=x.dtype) >= tf.cast(rate, x.dtype)
    return tf.where(is_kept, x * tf.cast(1 / kept, x.dtype), tf.zeros_like(x))


def _flat(arrays: LaneArrays) -> LaneArrays:
    """Weights as one vector, and each slot: an update is then a few operations, whatever the layers."""
    slots = [_joined(values) for values in zip(*arrays.slots, strict=True)]
    return arrays._replace(weights=[_joined(arrays.weights)], slots=[slots])


def _joined(values: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([array.ravel() for array in values])


def _parts(flat: Tensor, shapes: Sequence[Tensor]) -> list[Tensor]:
    sizes = tf.stack([tf.reduce_prod(shape) for shape in shapes])
    parts = tf.split(flat, sizes, num=len(shapes))
    return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]


def _numbers(lane: LaneArrays) -> LaneNumbers:
    return LaneNumbers.of(tf.unstack(lane.numbers, len(LaneNumbers._fields) - 1 + 2 * len(lane.dropout_seeds)))


def _variable(values: NDArray[Any]) -> Any:
    return tf.Variable(values, trainable=False, shape=tf.TensorShape([None] * np.ndim(values)))
