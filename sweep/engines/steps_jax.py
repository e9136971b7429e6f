"""Compiled training and validation steps on JAX, the dataset on the device. Twin of `steps_tensorflow`.

JAX compiles for fixed shapes, so the last, smaller minibatch has a program of its own.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sweep.data import Dataset

EVALUATION_BATCH_SIZE = 256
State = tuple[Any, ...]  # values of trainable, non-trainable, optimizer and metrics variables


def put_dataset(dataset: Dataset) -> tuple[Any, ...]:
    """The dataset's four arrays on the device in use."""
    arrays = (dataset.x_train, dataset.y_train, dataset.x_validation, dataset.y_validation)
    return tuple(jnp.asarray(array) for array in arrays)


class CompiledSteps:
    """The steps of one compiled Keras model; its metrics accumulate until `reset_metrics`."""

    def __init__(
        self, model: Any, arrays: tuple[Any, ...], batch_size: int, images_per_call: int, pause: Callable[[], None]
    ) -> None:
        """`pause` is called between calls on the device; it may raise."""
        self._model, self._pause = model, pause
        self._x_train, self._y_train, self._x_validation, self._y_validation = arrays
        self._batch_size = batch_size
        self._images_per_call = images_per_call
        self._train_steps = _compiled_loop(model.train_step, batch_size)
        self._train_rest = _compiled_loop(model.train_step, len(self._y_train) % batch_size)
        self._test_steps = _compiled_loop(_test_step(model), EVALUATION_BATCH_SIZE)
        self._test_rest = _compiled_loop(_test_step(model), len(self._y_validation) % EVALUATION_BATCH_SIZE)
        self._in_order = jnp.arange(len(self._y_validation), dtype=jnp.int32)

    def train(self, order: NDArray[np.int32]) -> None:
        """One epoch of minibatches: images `order` (N,), the last minibatch may be smaller."""
        arrays = (self._x_train, self._y_train, jnp.asarray(order))
        self._run(self._train_steps, self._train_rest, arrays, self._batch_size)

    def validate(self) -> None:
        """The whole validation part, in order."""
        arrays = (self._x_validation, self._y_validation, self._in_order)
        self._run(self._test_steps, self._test_rest, arrays, EVALUATION_BATCH_SIZE)

    def _run(self, steps: Callable[..., State], rest: Callable[..., State], arrays: State, size: int) -> None:
        num_images = len(arrays[1])
        num_full, steps_per_call = num_images // size, max(1, self._images_per_call // size)
        state = self._read_state()
        for start in range(0, num_full, steps_per_call):
            state = steps(state, *arrays, start * size, min(steps_per_call, num_full - start))
            jax.block_until_ready(state)
            self._pause()
        if num_images % size:
            state = rest(state, *arrays, num_full * size, 1)
        self._write_state(state)

    def _variables(self) -> tuple[Any, ...]:
        model = self._model
        groups = (model.trainable_variables, model.non_trainable_variables)
        return (*groups, model.optimizer.variables, model.metrics_variables)

    def _read_state(self) -> State:
        return tuple([variable.value for variable in group] for group in self._variables())

    def _write_state(self, state: State) -> None:
        for group, values in zip(self._variables(), state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)


def _test_step(model: Any) -> Callable[[State, Any], tuple[Any, State]]:
    """Keras's test_step takes no optimizer variables; give it the signature of train_step."""

    def test_step(state: State, batch: Any) -> tuple[Any, State]:
        trainable, non_trainable, optimizer, metrics = state
        logs, (trainable, non_trainable, metrics) = model.test_step((trainable, non_trainable, metrics), batch)
        return logs, (trainable, non_trainable, optimizer, metrics)

    return test_step


def _compiled_loop(step: Callable[[State, Any], tuple[Any, State]], size: int) -> Callable[..., State]:
    """`num_steps` steps over minibatches of `size` images, from position `first` of `order`; compiled once."""

    def loop(state: State, x: Any, y: Any, order: Any, first: Any, num_steps: Any) -> State:
        def body(index: Any, state: State) -> State:
            batch = jax.lax.dynamic_slice(order, (first + index * size,), (size,))
            _, state = step(state, (x[batch], y[batch]))
            return tuple(list(group) for group in state)

        return jax.lax.fori_loop(0, num_steps, body, state)  # type: ignore[no-any-return]

    return jax.jit(loop)  # type: ignore[no-any-return]
