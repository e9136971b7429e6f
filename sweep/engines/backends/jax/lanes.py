"""Lanes on JAX: one compiled program a structure. Twin of `lanes_tensorflow`.

JAX compiles for fixed shapes: arrays are padded to the structure's widths, and the last, smaller minibatch has a
program of its own. On a GPU many lanes share a call, by `vmap`; on a CPU each has a call of its own, on a thread.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sweep.data import Dataset
from sweep.engines.backends.base import EVALUATION_BATCH_SIZE, Pause, Source
from sweep.engines.backends.jax.stacks import JaxLane, Stack, Stacks, in_row_order
from sweep.engines.backends.jax.steps import minibatch
from sweep.engines.packed.model import forward, loss, num_correct
from sweep.engines.packed.start import EpochInput, LaneArrays
from sweep.engines.packed.structure import LaneNumbers, Structure, pad_weights, padded, unpad_weights
from sweep.engines.packed.updates import update
from sweep.models.lane_kernel import Tensor, Widths

MAX_LANES_PER_CALL = 256
Carry = tuple[LaneArrays, Tensor]  # a lane and its sums (2,)


def lanes_per_call() -> int:
    """How many lanes go through one call at most."""
    return MAX_LANES_PER_CALL if jax.default_backend() == "gpu" else 1


def fitted(structure: Structure, dataset: Dataset, widths: Widths, widest: Sequence[Widths]) -> Structure:
    """The structure of a lane's program: padded."""
    num_images = len(dataset.train) + len(dataset.validation)
    return replace(
        padded(structure, widths, widest), kernel=structure.kernel.fitted(batches_lanes=True, num_images=num_images)
    )


class LaneProgram:
    """Training and validation of one structure. Lanes live in stacks of padded arrays; images are inputs too."""

    def __init__(self, structure: Structure, images_per_call: int) -> None:
        """A call covers at most so many images."""
        self._structure, self._images_per_call, self._stacks = structure, images_per_call, Stacks()
        self._train_steps, self._train_rest = (_compiled(self._train_loop, donated=(0, 1)) for _ in range(2))
        self._evaluations, self._evaluation_rest = (_compiled(self._evaluation_loop, donated=(0,)) for _ in range(2))
        self._predictions = jax.jit(self._predict_lanes, static_argnames="size")

    @property
    def num_compilations(self) -> int:
        """How many programs were compiled, of whole minibatches and of rests."""
        steps = (self._train_steps, self._train_rest, self._evaluations, self._evaluation_rest)
        programs = (*steps, self._predictions)
        return sum(int(program._cache_size()) for program in programs)

    def start(self, arrays: LaneArrays) -> JaxLane:
        """A lane that begins with these arrays."""
        return JaxLane(self._pad(arrays))

    def release(self, lane: JaxLane) -> None:
        """Its place may be taken over."""
        lane.lose()

    def read(self, lane: JaxLane) -> LaneArrays:
        """The lane as NumPy arrays, not padded."""
        arrays = jax.tree.map(np.asarray, lane.read())
        widths = tuple(int(width) for width in arrays.widths)
        shapes = self._structure.kernel.statistics_shapes(widths)
        return arrays._replace(  # type: ignore[no-any-return]
            weights=unpad_weights(self._structure, widths, arrays.weights),
            slots=[],
            masks=[],
            statistics=[values[: shape[0]] for values, shape in zip(arrays.statistics, shapes, strict=True)],
        )

    def write(self, lane: JaxLane, weights: Sequence[NDArray[Any]], statistics: Sequence[NDArray[Any]]) -> None:
        """Give the lane other weights and statistics; nothing to one whose last epoch failed."""
        if lane.is_lost:
            return
        given = self._pad(lane.read()._replace(weights=[*weights], slots=[], statistics=[*statistics]))
        lane.write(given.weights, given.statistics)

    def train_epoch(
        self,
        lanes: Sequence[JaxLane],
        inputs: Sequence[EpochInput],
        images: Source,
        lanes_per_call: int,
        pause: Pause,
    ) -> NDArray[Any]:
        """One epoch of each lane and a validation, in calls of `lanes_per_call`: sums (lanes, 2, 2) of both.

        Sums are of each minibatch's loss times its size, and of the images that were classified rightly.
        """
        stack = self._stacks.gather(lanes, lanes_per_call)
        rows = [lane.row for lane in lanes]
        try:
            given = self._stacked(in_row_order(stack, lanes, inputs), len(images[1]))
            trained = self._train(stack, given, images, len(inputs[0].order_N), pause)
            validated = self._validate(stack, given, images, len(inputs[0].validation_V), pause)
        except BaseException:
            for lane in lanes:  # a call has taken their arrays
                lane.lose()
            raise
        return np.stack([np.asarray(trained)[rows], np.asarray(validated)[rows]], axis=1)

    def predict(
        self,
        lanes: Sequence[JaxLane],
        inputs: Sequence[EpochInput],
        images: Source,
        lanes_per_call: int,
        pause: Pause,
    ) -> NDArray[Any]:
        """The outputs (lanes, V, num_classes) of each lane for the images of its validation."""
        stack = self._stacks.gather(lanes, lanes_per_call)
        given, num_images = (
            self._stacked(in_row_order(stack, lanes, inputs), len(images[1])),
            len(inputs[0].validation_V),
        )
        outputs = []
        for step in range(-(-num_images // EVALUATION_BATCH_SIZE)):
            size = min(EVALUATION_BATCH_SIZE, num_images - step * EVALUATION_BATCH_SIZE)
            outputs.append(np.asarray(self._predictions(stack.arrays, given, images, step, size=size)))
            pause()
        return np.concatenate(outputs, axis=1)[[lane.row for lane in lanes]]

    def _stacked(self, inputs: Sequence[EpochInput], num_images: int) -> EpochInput:
        """Filled up to what the images allow, so that folds and parts of any size go through the same program."""
        num_steps = -(-num_images // self._structure.batch_size)
        orders, rates, products, num_updates, validation = (np.stack(values) for values in zip(*inputs, strict=True))
        return EpochInput(
            _filled(orders, num_images),
            _filled(rates, num_steps),
            _filled(products, num_steps),
            jnp.asarray(num_updates),
            _filled(validation, num_images),
        )

    def _train(self, stack: Stack, given: EpochInput, images: Source, num_images: int, pause: Pause) -> Tensor:
        sums = self._no_sums(stack)
        for program, *step in self._calls(self._train_steps, self._train_rest, num_images, self._structure.batch_size):
            stack.arrays, sums = program(stack.arrays, sums, given, images, *step)
            jax.block_until_ready(sums)
            pause()
        return sums

    def _validate(self, stack: Stack, given: EpochInput, images: Source, num_images: int, pause: Pause) -> Tensor:
        sums = self._no_sums(stack)
        for program, *step in self._calls(self._evaluations, self._evaluation_rest, num_images, EVALUATION_BATCH_SIZE):
            sums = program(sums, stack.arrays, given, images, *step)
            jax.block_until_ready(sums)
            pause()
        return sums

    def _no_sums(self, stack: Stack) -> Tensor:
        return jnp.zeros((len(stack.lanes), 2), stack.arrays.numbers.dtype)

    def _calls(self, steps: Any, rest: Any, num_images: int, size: int) -> Iterator[tuple[Any, int, int, int]]:
        """(program, start, stop, a minibatch's size) of each call."""
        num_steps, steps_per_call = num_images // size, max(1, self._images_per_call // size)
        for start in range(0, num_steps, steps_per_call):
            yield steps, start, min(start + steps_per_call, num_steps), size
        if num_images % size:
            yield rest, num_steps, num_steps + 1, num_images % size

    def _train_loop(
        self, lane: LaneArrays, sums: Tensor, given: EpochInput, images: Source, start: Tensor, stop: Tensor, size: int
    ) -> Carry:
        def body(step: Tensor, carry: Carry) -> Carry:
            rows_B = jax.lax.dynamic_slice(given.order_N, (step * self._structure.batch_size,), (size,))
            return self._train_step(carry, *minibatch(images, rows_B), given, step)

        return jax.lax.fori_loop(start, stop, body, (lane, sums))  # type: ignore[no-any-return]

    def _evaluation_loop(
        self, sums: Tensor, lane: LaneArrays, given: EpochInput, images: Source, start: Tensor, stop: Tensor, size: int
    ) -> Tensor:
        def body(step: Tensor, sums: Tensor) -> Tensor:
            rows_B = jax.lax.dynamic_slice(given.validation_V, (step * EVALUATION_BATCH_SIZE,), (size,))
            return self._evaluation_step((lane, sums), *minibatch(images, rows_B))

        return jax.lax.fori_loop(start, stop, body, sums)

    def _train_step(
        self, carry: Carry, images_BHWC: Tensor, labels_B: Tensor, given: EpochInput, step: Tensor
    ) -> Carry:
        """Padded weights are zeros and stay so: their gradients are masked."""
        lane, sums = carry
        numbers, statistics = LaneNumbers.of(lane.numbers), lane.statistics

        def total_loss(weights: list[Tensor]) -> tuple[Tensor, Any]:
            def dropout(x: Tensor, layer: int) -> Tensor:
                number = self._structure.dropout_number(layer)
                _, kept = numbers.dropout(number)
                return _dropout(x, kept, lane.widths[layer], lane.dropout_seeds[number])

            probabilities_BY, moved = forward(self._structure, weights, statistics, images_BHWC, dropout)
            total = loss(self._structure, weights, numbers, labels_B, probabilities_BY, lane.class_weights)
            return total, (probabilities_BY, moved)

        (total, (probabilities_BY, moved)), gradients = jax.value_and_grad(total_loss, has_aux=True)(lane.weights)
        gradients = [jnp.where(mask, gradient, 0) for mask, gradient in zip(lane.masks, gradients, strict=True)]
        number = jnp.asarray(given.num_updates + step + 1, total.dtype)
        updated = [
            update(self._structure.optimizer, *values, numbers, given.rates_S[step], given.products_S[step], number)
            for values in zip(lane.weights, gradients, lane.slots, strict=True)
        ]
        lane = lane._replace(
            weights=[weight for weight, _ in updated],
            slots=[slots for _, slots in updated],
            statistics=moved,
            dropout_seeds=[seed + jnp.asarray([0, 1], seed.dtype) for seed in lane.dropout_seeds],
        )
        return lane, sums + jnp.stack([total * len(labels_B), num_correct(labels_B, probabilities_BY)])

    def _evaluation_step(self, carry: Carry, images_BHWC: Tensor, labels_B: Tensor) -> Tensor:
        lane, sums = carry
        probabilities_BY, _ = forward(self._structure, lane.weights, lane.statistics, images_BHWC, None)
        total = loss(self._structure, lane.weights, LaneNumbers.of(lane.numbers), labels_B, probabilities_BY)
        return sums + jnp.stack([total * len(labels_B), num_correct(labels_B, probabilities_BY)])

    def _predict_lanes(self, lanes: LaneArrays, given: EpochInput, images: Source, step: Tensor, size: int) -> Tensor:
        """Outputs (lanes, size, num_classes) for a minibatch."""
        over_lanes = jax.vmap(partial(self._prediction, size=size), in_axes=(0, 0, None, None))
        return over_lanes(lanes, given, images, step)

    def _prediction(self, lane: LaneArrays, given: EpochInput, images: Source, step: Tensor, size: int) -> Tensor:
        rows_B = jax.lax.dynamic_slice(given.validation_V, (step * EVALUATION_BATCH_SIZE,), (size,))
        images_BHWC, _ = minibatch(images, rows_B)
        return forward(self._structure, lane.weights, lane.statistics, images_BHWC, None)[0]

    def _pad(self, arrays: LaneArrays) -> LaneArrays:
        widths = tuple(int(width) for width in arrays.widths)
        assert self._structure.widths is not None
        slots = [pad_weights(self._structure, widths, [*values]) for values in zip(*arrays.slots, strict=True)]
        shapes = self._structure.kernel.statistics_shapes(self._structure.widths)
        return arrays._replace(
            weights=pad_weights(self._structure, widths, arrays.weights),
            slots=[[*values] for values in zip(*slots, strict=True)],
            masks=pad_weights(self._structure, widths, [np.ones(weight.shape, bool) for weight in arrays.weights]),
            statistics=[
                np.pad(values, (0, shape[0] - len(values)))
                for values, shape in zip(arrays.statistics, shapes, strict=True)
            ],
        )


def _compiled(loop: Callable[..., Any], donated: tuple[int, ...]) -> Any:
    """Over lanes side by side, for minibatches of a size; what is donated comes back in the same memory."""

    def program(
        first: Any, second: Any, given: EpochInput, images: Source, start: Tensor, stop: Tensor, size: int
    ) -> Any:
        over_lanes = jax.vmap(partial(loop, size=size), in_axes=(0, 0, 0, None, None, None))
        return over_lanes(first, second, given, images, start, stop)

    return jax.jit(program, static_argnames="size", donate_argnums=donated)


def _filled(stacked: NDArray[Any], length: int) -> Tensor:
    """Vectors of lanes, with zeros up to `length`."""
    return jnp.asarray(np.pad(stacked, ((0, 0), (0, length - stacked.shape[1]))))


def _dropout(x: Tensor, kept: Tensor, width: Tensor, seed: Tensor) -> Tensor:
    """keras.random.dropout, drawn for the lane's true width: entry (.., d) is draw .. * width + d, as without padding.

    JAX's bits depend on the seed and an entry's position alone (`jax_threefry_partitionable`, its default).
    """
    rows, columns = math.prod(x.shape[:-1]), x.shape[-1]
    is_kept = jax.random.bernoulli(seed, kept, (rows * columns,))
    is_kept = is_kept[jnp.arange(rows)[:, None] * width + jnp.arange(columns)]
    return jnp.where(jnp.reshape(is_kept, x.shape), x / jnp.asarray(kept, x.dtype), jnp.zeros_like(x))
