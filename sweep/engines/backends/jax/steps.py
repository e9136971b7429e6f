"""Compiled training and validation steps of a Keras model on JAX; the dataset is on the device.

JAX compiles for fixed shapes, so there is a second program for the last, smaller minibatch.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sweep.engines.augmentation import Augmentation
from sweep.engines.backends.base import EVALUATION_BATCH_SIZE, Pause, Source
from sweep.engines.feeding import Feed
from sweep.engines.placed import Arrays, Placed

DIVIDES_EXACTLY = False  # XLA multiplies by the inverse
State = tuple[Any, ...]  # values of trainable, non-trainable, optimizer and metrics variables
Step = Callable[[State, Any, Any, Any], tuple[Any, State]]  # state, images, labels, seeds -> logs, state


def put(array: NDArray[Any]) -> Any:
    """Copy an array to the device in use."""
    return jnp.asarray(array)


def source(arrays: Arrays, divisor: np.float32) -> Source:
    """Return what `minibatch` takes. The divisor is 1: all images are scaled."""
    return arrays.images, arrays.labels, jnp.asarray(divisor)


def minibatch(source: Source, rows_B: Any) -> tuple[Any, Any]:
    """Return scaled images, float32 (B, H, W, C), and their labels (B,)."""
    images, labels, divisor = source
    images_BHWC = images[rows_B]
    if not jnp.issubdtype(images.dtype, jnp.floating):
        images_BHWC = images_BHWC.astype(jnp.float32) / divisor
    return images_BHWC, labels[rows_B]


def as_compiled(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function itself: compiled or not, its bits are the same."""
    return function


class CompiledSteps:
    """The steps of one compiled Keras model. See `base.CompiledSteps`."""

    def __init__(
        self,
        model: Any,
        placed: Placed,
        batch_size: int,
        images_per_call: int,
        pause: Pause,
        augmentation: Augmentation,
    ) -> None:
        self._model, self._pause = model, pause
        self._feed = Feed(placed, put, source)
        self._train, self._validation = placed.train, placed.validation
        self._batch_size = batch_size
        self._images_per_call = images_per_call
        train, test = _train_step(model, augmentation), _test_step(model, augmentation)
        self._train_steps = _compiled_loop(train, batch_size)
        self._train_rest = _compiled_loop(train, len(self._train) % batch_size)
        self._test_steps = _compiled_loop(test, EVALUATION_BATCH_SIZE)
        self._test_rest = _compiled_loop(test, len(self._validation) % EVALUATION_BATCH_SIZE)
        self._predict_step = jax.jit(lambda state, source, rows: model.predict_step(state, minibatch(source, rows))[0])

    def train(self, order: NDArray[np.int32], step_seeds: NDArray[np.int32]) -> None:
        """Train one epoch in this order (N,)."""
        self._run(self._train_steps, self._train_rest, self._train[order], self._batch_size, step_seeds)

    def validate(self) -> None:
        """Evaluate the model on the validation part."""
        no_seeds = np.zeros((-(-len(self._validation) // EVALUATION_BATCH_SIZE), 0, 2), np.int32)
        self._run(self._test_steps, self._test_rest, self._validation, EVALUATION_BATCH_SIZE, no_seeds)

    def predict(self) -> NDArray[Any]:
        """Return the model's outputs (V, Y) for the validation part."""
        trainable, non_trainable, _, _ = self._read_state()
        outputs = []
        size = EVALUATION_BATCH_SIZE
        for source, given, step, _ in self._feed.calls(self._validation, size, size):
            rows = given[step * size : (step + 1) * size]
            outputs.append(np.asarray(self._predict_step((trainable, non_trainable), source, rows)))
            self._pause()
        return np.concatenate(outputs)

    def _run(
        self,
        steps: Callable[..., State],
        rest: Callable[..., State],
        rows: NDArray[np.int32],
        size: int,
        step_seeds: NDArray[np.int32],
    ) -> None:
        num_full, seeds = len(rows) // size, jnp.asarray(step_seeds)
        full, last = np.split(rows, [num_full * size])
        state = self._read_state()
        for source, given, start, stop in self._feed.calls(full, size, self._images_per_call):
            state = steps(state, source, given, seeds, start, stop - start)
            jax.block_until_ready(state)
            self._pause()
        for source, given, _, _ in self._feed.calls(last, size, size):
            state = rest(state, source, given, seeds[num_full:], 0, 1)
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


def _train_step(model: Any, augmentation: Augmentation) -> Step:
    """Return Keras's train_step of an augmented minibatch."""
    return lambda state, images, labels, seeds: model.train_step(state, augmentation(images, labels, seeds))


def _test_step(model: Any, augmentation: Augmentation) -> Step:
    """Return Keras's test_step, which takes no optimizer variables, with the signature of `_train_step`."""

    def step(state: State, images: Any, labels: Any, _seeds: Any) -> tuple[Any, State]:
        trainable, non_trainable, optimizer, metrics = state
        batch = images, augmentation.encode(labels)
        logs, (trainable, non_trainable, metrics) = model.test_step((trainable, non_trainable, metrics), batch)
        return logs, (trainable, non_trainable, optimizer, metrics)

    return step


def _compiled_loop(step: Step, size: int) -> Callable[..., State]:
    """Compile a loop of `num_steps` steps over minibatches of `size` images, from step `first` of the rows."""

    def loop(state: State, source: Source, rows: Any, seeds_SL2: Any, first: Any, num_steps: Any) -> State:
        def body(index: Any, state: State) -> State:
            batch = jax.lax.dynamic_slice(rows, ((first + index) * size,), (size,))
            _, state = step(state, *minibatch(source, batch), seeds_SL2[first + index])
            return tuple(list(group) for group in state)

        return jax.lax.fori_loop(0, num_steps, body, state)  # type: ignore[no-any-return]

    return jax.jit(loop)  # type: ignore[no-any-return]
