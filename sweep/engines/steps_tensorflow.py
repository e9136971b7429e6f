"""Compiled training and validation steps on TensorFlow, the dataset on the device. Twin of `steps_jax`.

Many minibatches run in one call, as Keras's cost for each step and epoch rules small nets. A call covers at most
`images_per_call` images, so that Python gets to see a signal between calls.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from sweep.data import Dataset

EVALUATION_BATCH_SIZE = 256


def _is_not_about_retracing(record: logging.LogRecord) -> bool:
    """Each model is traced once, by intent; TensorFlow would warn of it in every short sweep."""
    return "triggered tf.function retracing" not in record.getMessage()


tf.get_logger().addFilter(_is_not_about_retracing)


def put_dataset(dataset: Dataset) -> tuple[Any, ...]:
    """The dataset's four arrays as tensors on the device in use."""
    arrays = (dataset.x_train, dataset.y_train, dataset.x_validation, dataset.y_validation)
    return tuple(tf.constant(array) for array in arrays)


class CompiledSteps:
    """The steps of one compiled Keras model; its metrics accumulate until `reset_metrics`."""

    def __init__(
        self, model: Any, arrays: tuple[Any, ...], batch_size: int, images_per_call: int, pause: Callable[[], None]
    ) -> None:
        """`pause` is called between calls on the device; it may raise."""
        self._model, self._pause = model, pause
        self._x_train, self._y_train, self._x_validation, self._y_validation = arrays
        self._batch_size = batch_size
        self._steps_per_call = max(1, images_per_call // batch_size)
        self._evaluations_per_call = max(1, images_per_call // EVALUATION_BATCH_SIZE)
        self._train_steps = tf.function(self._make_train_steps())
        self._test_steps = tf.function(self._make_test_steps())

    def train(self, order: NDArray[np.int32]) -> None:
        """One epoch of minibatches: images `order` (N,), the last minibatch may be smaller."""
        indices = tf.constant(order)
        num_steps = -(-len(order) // self._batch_size)
        for start in range(0, num_steps, self._steps_per_call):
            stop = min(start + self._steps_per_call, num_steps)
            self._train_steps(indices, tf.constant(start), tf.constant(stop))
            self._pause()

    def validate(self) -> None:
        """The whole validation part, in order."""
        num_steps = -(-len(self._y_validation) // EVALUATION_BATCH_SIZE)
        for start in range(0, num_steps, self._evaluations_per_call):
            stop = min(start + self._evaluations_per_call, num_steps)
            self._test_steps(tf.constant(start), tf.constant(stop))
            self._pause()

    def _make_train_steps(self) -> Any:
        model, x_train, y_train, size = self._model, self._x_train, self._y_train, self._batch_size

        def train_steps(order: Any, start: Any, stop: Any) -> None:
            for step in tf.range(start, stop):
                batch = order[step * size : (step + 1) * size]
                model.train_step((tf.gather(x_train, batch), tf.gather(y_train, batch)))

        return train_steps

    def _make_test_steps(self) -> Any:
        model, x, y, size = self._model, self._x_validation, self._y_validation, EVALUATION_BATCH_SIZE

        def test_steps(start: Any, stop: Any) -> None:
            for step in tf.range(start, stop):
                batch = slice(step * size, (step + 1) * size)
                model.test_step((x[batch], y[batch]))

        return test_steps
