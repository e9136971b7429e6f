"""Compiled training and validation steps of a Keras model on TensorFlow; the dataset is on the device.

Many minibatches run in one call, since for small networks most of the time is overhead per step and per epoch. A call
covers at most `images_per_call` images, so that Python can handle a signal between calls.
"""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from sweep.engines.augmentation import Augmentation
from sweep.engines.backends.base import EVALUATION_BATCH_SIZE, Pause, Source
from sweep.engines.feeding import Feed
from sweep.engines.placed import Arrays, Placed

DIVIDES_EXACTLY = True  # by an input; by a constant it multiplies by the inverse
Tensor = Any


def _is_not_about_retracing(record: logging.LogRecord) -> bool:
    """Each model is traced once, on purpose; TensorFlow would warn about it in every short sweep."""
    return "triggered tf.function retracing" not in record.getMessage()


tf.get_logger().addFilter(_is_not_about_retracing)


def put(array: NDArray[Any]) -> Tensor:
    """Copy an array to the device in use."""
    return tf.constant(array)


def source(arrays: Arrays, divisor: np.float32) -> Source:
    """Return what `minibatch` takes: an argument of a program, with the divisor as a tensor (`DIVIDES_EXACTLY`)."""
    return arrays.images, arrays.labels, tf.constant(divisor)


def minibatch(source: Source, rows_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return scaled images, float32 (B, H, W, C), and their labels (B,)."""
    images, labels, divisor = source
    images_BHWC = tf.gather(images, rows_B)
    if not images.dtype.is_floating:
        images_BHWC = tf.cast(images_BHWC, tf.float32) / divisor
    return images_BHWC, tf.gather(labels, rows_B)


def as_compiled(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return the function traced: TensorFlow folds a division by a constant into a product with its inverse."""
    return tf.function(function, autograph=False)  # type: ignore[no-any-return]


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
        self._batch_size, self._images_per_call = batch_size, images_per_call
        self._train_steps = tf.function(_train_loop(model, batch_size, augmentation))
        self._test_steps = tf.function(_test_loop(model, augmentation))
        self._predict_step = tf.function(_predict_step(model))

    def train(self, order: NDArray[np.int32], step_seeds: NDArray[np.int32]) -> None:
        """Train one epoch in this order (N,)."""
        self._run(self._train_steps, self._train[order], self._batch_size, tf.constant(step_seeds))

    def validate(self) -> None:
        """Evaluate the model on the validation part."""
        self._run(self._test_steps, self._validation, EVALUATION_BATCH_SIZE)

    def predict(self) -> NDArray[Any]:
        """Return the model's outputs (V, Y) for the validation part."""
        outputs = []
        for given, rows, step, _ in self._feed.calls(self._validation, EVALUATION_BATCH_SIZE, EVALUATION_BATCH_SIZE):
            outputs.append(self._predict_step(given, rows, tf.constant(step)).numpy())
            self._pause()
        return np.concatenate(outputs)

    def _run(self, steps: Any, rows: NDArray[np.int32], size: int, *inputs: Tensor) -> None:
        for source, given, start, stop in self._feed.calls(rows, size, self._images_per_call):
            steps(source, given, tf.constant(start), tf.constant(stop), *inputs)
            self._pause()


def _predict_step(model: Any) -> Callable[..., Tensor]:
    def predict(source: Source, rows: Tensor, step: Tensor) -> Tensor:
        size = EVALUATION_BATCH_SIZE
        return model.predict_step(minibatch(source, rows[step * size : (step + 1) * size]))

    return predict


def _train_loop(model: Any, size: int, augmentation: Augmentation) -> Callable[..., None]:
    def steps(source: Source, rows: Tensor, start: Tensor, stop: Tensor, seeds_SL2: Tensor) -> None:
        for step in tf.range(start, stop):
            images, labels = minibatch(source, rows[step * size : (step + 1) * size])
            model.train_step(augmentation(images, labels, seeds_SL2[step]))

    return steps


def _test_loop(model: Any, augmentation: Augmentation) -> Callable[..., None]:
    size = EVALUATION_BATCH_SIZE

    def steps(source: Source, rows: Tensor, start: Tensor, stop: Tensor) -> None:
        for step in tf.range(start, stop):
            images, labels = minibatch(source, rows[step * size : (step + 1) * size])
            model.test_step((images, augmentation.encode(labels)))

    return steps
