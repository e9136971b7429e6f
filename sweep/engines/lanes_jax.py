"""Lanes on JAX: one compiled program a structure. Twin of `lanes_tensorflow`.

JAX compiles for fixed shapes: arrays are padded to the structure's widths, and the last, smaller minibatch has a
program of its own. On a GPU many lanes share a call, by `vmap`; on a CPU each has a call of its own, on a thread.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sweep.engines.lane_model import Tensor, forward, loss, num_correct
from sweep.engines.lane_start import EpochInput, LaneArrays
from sweep.engines.lane_structure import LaneNumbers, Structure, Widths, cut_weights, pad_weights, padded
from sweep.engines.lane_updates import update
from sweep.engines.steps_jax import EVALUATION_BATCH_SIZE

MOST_LANES_A_CALL = 256
Carry = tuple[LaneArrays, Tensor]  # a lane and its sums (2,)


def places_of_a_call() -> int:
    """How many lanes go through one call at most."""
    return MOST_LANES_A_CALL if jax.default_backend() == "gpu" else 1


def fitted(structure: Structure, widths: Widths, widest: Sequence[Widths]) -> Structure:
    """The structure of a lane's program: padded, and with convolutions as matrix products.

    These batch over lanes, and on a CPU they were 1.3 to 8 times as fast as XLA's convolutions.
    """
    return replace(padded(structure, widths, widest), convolution="patches")


class LaneProgram:
    """Training and validation of one structure on one dataset. A lane is a `LaneArrays` of padded JAX arrays."""

    updates_in_place = False

    def __init__(self, structure: Structure, arrays: tuple[Any, ...], images_per_call: int) -> None:
        """`arrays` as `put_dataset` gives them."""
        self._structure = structure
        self._x_train, self._y_train, self._x_validation, self._y_validation = arrays
        self._images_per_call = images_per_call
        self._train_steps, self._train_rest = self._compile(self._train_step, len(self._y_train), structure.batch_size)
        self._evaluations, self._evaluation_rest = self._compile(
            self._evaluation_step, len(self._y_validation), EVALUATION_BATCH_SIZE
        )

    @property
    def num_compilations(self) -> int:
        """How many programs were compiled, of whole minibatches and of the rest."""
        programs = (self._train_steps, self._train_rest, self._evaluations, self._evaluation_rest)
        return sum(int(program._cache_size()) for program in programs)

    def start(self, arrays: LaneArrays) -> LaneArrays:
        """A lane that begins with these arrays."""
        return jax.tree.map(jnp.asarray, self._pad(arrays))  # type: ignore[no-any-return]

    def release(self, lane: LaneArrays) -> None:
        """Nothing is kept of it."""

    def read(self, lane: LaneArrays) -> LaneArrays:
        """The lane as NumPy arrays, not padded."""
        lane = jax.tree.map(np.asarray, lane)
        widths = tuple(int(width) for width in lane.widths)
        shapes = self._structure.statistics_shapes(widths)
        return lane._replace(
            weights=cut_weights(self._structure, widths, lane.weights),
            slots=[],
            masks=[],
            statistics=[values[: shape[0]] for values, shape in zip(lane.statistics, shapes, strict=True)],
        )

    def write(
        self, lane: LaneArrays, weights: Sequence[NDArray[Any]], statistics: Sequence[NDArray[Any]]
    ) -> LaneArrays:
        """The lane with other weights and statistics."""
        given = self._pad(lane._replace(weights=[*weights], slots=[], statistics=[*statistics]))
        given = jax.tree.map(jnp.asarray, given)
        return lane._replace(weights=given.weights, statistics=given.statistics)

    def train_epoch(
        self, lanes: Sequence[LaneArrays], inputs: Sequence[EpochInput], pause: Callable[[], None]
    ) -> tuple[list[LaneArrays], NDArray[Any]]:
        """One epoch of each lane and a validation: the lanes after it, and sums (lanes, 2, 2) of both.

        Sums are of each minibatch's loss times its size, and of the images that were classified rightly.
        """
        given = jax.tree.map(lambda *values: jnp.asarray(np.stack(values)), *inputs)
        stacked = jax.tree.map(lambda *values: jnp.stack(values), *lanes)
        programs, arrays = (self._train_steps, self._train_rest), (self._x_train, self._y_train)
        stacked, trained = self._run(programs, arrays, self._structure.batch_size, stacked, given, pause)
        programs, arrays = (self._evaluations, self._evaluation_rest), (self._x_validation, self._y_validation)
        in_order = jnp.tile(jnp.arange(len(self._y_validation), dtype=jnp.int32), (len(lanes), 1))
        in_order = given._replace(order_N=in_order)
        _, validated = self._run(programs, arrays, EVALUATION_BATCH_SIZE, stacked, in_order, pause)
        after = [jax.tree.map(lambda values, index=index: values[index], stacked) for index in range(len(lanes))]
        return after, np.stack([np.asarray(trained), np.asarray(validated)], axis=1)

    def _run(
        self, programs: Any, arrays: Any, size: int, lanes: LaneArrays, given: EpochInput, pause: Callable[[], None]
    ) -> Carry:
        """Stacked lanes through whole minibatches of `size` and the rest."""
        steps, rest = programs
        num_steps, steps_per_call = len(arrays[1]) // size, max(1, self._images_per_call // size)
        carry = (lanes, jnp.zeros((len(given.order_N), 2), lanes.numbers.dtype))
        for start in range(0, num_steps, steps_per_call):
            carry = steps(carry, given, *arrays, start, min(start + steps_per_call, num_steps))
            jax.block_until_ready(carry)
            pause()
        if len(arrays[1]) % size:
            carry = rest(carry, given, *arrays, num_steps, num_steps + 1)
        return carry

    def _compile(self, step: Callable[..., Carry], num_images: int, size: int) -> tuple[Any, Any]:
        """Programs of whole minibatches and of the rest: (carry, inputs, x, y, start, stop) -> carry."""

        def program(batch_size: int) -> Any:
            def loop(carry: Carry, given: EpochInput, x: Tensor, y: Tensor, start: Tensor, stop: Tensor) -> Carry:
                def body(index: Tensor, carry: Carry) -> Carry:
                    batch_B = jax.lax.dynamic_slice(given.order_N, (index * size,), (batch_size,))
                    return step(carry, x[batch_B], y[batch_B], given, index)

                return jax.lax.fori_loop(start, stop, body, carry)  # type: ignore[no-any-return]

            lanes = jax.vmap(loop, in_axes=(0, 0, None, None, None, None))
            return jax.jit(lanes)

        return program(size), program(num_images % size)

    def _train_step(
        self, carry: Carry, images_BHWC: Tensor, labels_B: Tensor, given: EpochInput, step: Tensor
    ) -> Carry:
        """Padded weights are zeros and stay so: their gradients are masked."""
        lane, sums = carry
        numbers, statistics = LaneNumbers(*lane.numbers), lane.statistics

        def total_loss(weights: list[Tensor]) -> tuple[Tensor, Any]:
            def dropout(x: Tensor, layer: int) -> Tensor:
                seed = lane.dropout_seeds[self._structure.dropout_number(layer)]
                _, kept = self._structure.dropout_of(numbers, layer)
                return _dropout(x, kept, lane.widths[layer], seed)

            probabilities_BY, moved = forward(self._structure, weights, statistics, images_BHWC, dropout)
            return loss(self._structure, weights, numbers, labels_B, probabilities_BY), (probabilities_BY, moved)

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

    def _evaluation_step(self, carry: Carry, images_BHWC: Tensor, labels_B: Tensor, *given: Any) -> Carry:
        lane, sums = carry
        probabilities_BY, _ = forward(self._structure, lane.weights, lane.statistics, images_BHWC, None)
        total = loss(self._structure, lane.weights, LaneNumbers(*lane.numbers), labels_B, probabilities_BY)
        return lane, sums + jnp.stack([total * len(labels_B), num_correct(labels_B, probabilities_BY)])

    def _pad(self, arrays: LaneArrays) -> LaneArrays:
        widths = tuple(int(width) for width in arrays.widths)
        assert self._structure.widths is not None
        slots = [pad_weights(self._structure, widths, [*values]) for values in zip(*arrays.slots, strict=True)]
        shapes = self._structure.statistics_shapes(self._structure.widths)
        return arrays._replace(
            weights=pad_weights(self._structure, widths, arrays.weights),
            slots=[[*values] for values in zip(*slots, strict=True)],
            masks=pad_weights(self._structure, widths, [np.ones(weight.shape, bool) for weight in arrays.weights]),
            statistics=[
                np.pad(values, (0, shape[0] - len(values)))
                for values, shape in zip(arrays.statistics, shapes, strict=True)
            ],
        )


def _dropout(x: Tensor, kept: Tensor, width: Tensor, seed: Tensor) -> Tensor:
    """keras.random.dropout, drawn for the lane's true width: entry (.., d) is draw .. * width + d, as without padding.

    JAX's bits depend on the seed and an entry's position alone (`jax_threefry_partitionable`, its default).
    """
    rows, columns = math.prod(x.shape[:-1]), x.shape[-1]
    is_kept = jax.random.bernoulli(seed, kept, (rows * columns,))
    is_kept = is_kept[jnp.arange(rows)[:, None] * width + jnp.arange(columns)]
    return jnp.where(jnp.reshape(is_kept, x.shape), x / jnp.asarray(kept, x.dtype), jnp.zeros_like(x))
