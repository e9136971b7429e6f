"""The loss of a config: Keras's, for its `compile`, and the same of each image, for lanes.

Shape suffixes: B minibatch, Y classes.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from sweep.config.loss import OF_DISTANCE
from sweep.config.trial import TrialConfig

Tensor = Any
CLASSES: dict[str, Callable[..., Any]] = {
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "categorical_focal_crossentropy": keras.losses.CategoricalFocalCrossentropy,
}


def takes_one_hot(config: TrialConfig) -> bool:
    """Return whether labels are one-hot vectors for the loss, instead of class numbers."""
    return config.augmentation.mixes_labels or config.training.has_one_hot_loss


def is_of_one_hot(loss: Any) -> bool:
    """Return whether a loss takes one-hot labels: one of Keras's, unless it is sparse; a custom one takes numbers."""
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    is_ours = isinstance(loss, str) or getattr(loss, "__module__", type(loss).__module__).partition(".")[0] == "keras"
    return is_ours and not name.lower().startswith("sparse")


def encoded_labels(loss: Any, labels: NDArray[np.int32], num_classes: int) -> NDArray[Any]:
    """Return class numbers (N,) as a model's loss takes them: unchanged, or as one-hot vectors (N, Y)."""
    if not is_of_one_hot(loss):
        return labels
    one_hot: NDArray[Any] = keras.utils.to_categorical(labels, num_classes)
    return one_hot


def build_loss(config: TrialConfig) -> Any:
    """Return what Keras's `compile` takes."""
    training = config.training
    if not takes_one_hot(config):
        if training.from_logits:
            return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return "sparse_categorical_crossentropy"  # of probabilities
    if training.loss == OF_DISTANCE:
        return keras.losses.MeanSquaredError()
    return CLASSES[training.loss](from_logits=training.from_logits, label_smoothing=training.label_smoothing)


def losses_of(name: str, labels_B: Tensor, probabilities_BY: Tensor, label_smoothing: Tensor) -> Tensor:
    """Return the loss (B,) of each image, as the class that `build_loss` returns computes it.

    Args:
        name: The loss; "" is the cross-entropy of class numbers.
        labels_B: Class numbers.
        probabilities_BY: Outputs of the model.
        label_smoothing: A number; `y * (1 - s) + s / Y` are the labels, and `y * (1 - s) + s / 2` for
            "binary_crossentropy".

    """
    if not name:
        return ops.sparse_categorical_crossentropy(labels_B, probabilities_BY)
    num_classes, dtype = probabilities_BY.shape[-1], probabilities_BY.dtype
    share = 1 / 2 if name == "binary_crossentropy" else 1 / num_classes
    labels_BY = ops.one_hot(labels_B, num_classes, dtype=dtype)
    if name != OF_DISTANCE:
        labels_BY = labels_BY * (1.0 - label_smoothing) + label_smoothing * share
    return getattr(keras.losses, name)(labels_BY, probabilities_BY)
