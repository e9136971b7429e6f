"""What is wrong with a user's model, seen by giving it a few images before it is trained.

Its outputs must be what the loss takes them for, and what it does to its images must not be done already. Without
these checks such a model trains, to a poor score and without a word.
"""

from collections.abc import Iterator
from itertools import takewhile
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sweep.config.trial import TrialConfig
from sweep.errors import ModelError
from sweep.models.family import user_model_label

TOLERANCE = 0.02  # of a sum of probabilities: bfloat16 has three digits
SHRINKING = 0.25  # a layer that multiplies scaled images by less than this was meant for raw ones


def check_model(model: Any, config: TrialConfig, images: NDArray[Any]) -> None:
    """ModelError, with the fix, unless training on such images can go as the config says.

    Args:
        model: The user's `keras.Model`, with weights; it is left as it is.
        config: A config of a builder, or of a family of the user's.
        images: A few training images float32 (N, H, W, C), scaled.
    """
    if config.data.scaling != "none":
        _check_is_not_scaled_again(model, config)
    _check_input_dtypes(model, config, images)
    training = {"training": False} if model._call_has_training_arg else {}
    outputs, _ = model.stateless_call(model.trainable_variables, model.non_trainable_variables, images, **training)
    _check_outputs(keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32")), model, config)


def _check_is_not_scaled_again(model: Any, config: TrialConfig) -> None:
    """Of Rescaling and Normalization before the first layer with weights, none may shrink its input by much."""
    before_weights = takewhile(lambda layer: not layer.trainable_weights, _leaves(model))
    shrinking = next((layer for layer in before_weights if _factor(layer) < SHRINKING), None)
    if shrinking is not None:
        raise ModelError(
            f"{user_model_label(config.model)} scales its inputs ({type(shrinking).__name__}, by "
            f'{_factor(shrinking):.3g}), and data.scaling = "{config.data.scaling}" scales them before; '
            'set data.scaling = "none", or remove the layer'
        )


def _leaves(model: Any) -> Iterator[Any]:
    """Layers, those of models within the model too."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer


def _factor(layer: Any) -> float:
    """What the layer multiplies its input by, at most; 1 of any layer but Rescaling and Normalization."""
    if isinstance(layer, keras.layers.Rescaling):
        return float(np.abs(np.asarray(layer.scale, np.float64)).max())
    if isinstance(layer, keras.layers.Normalization) and not layer.invert:
        return float(1 / np.sqrt(keras.ops.convert_to_numpy(layer.variance)).min())
    return 1.0


def _check_input_dtypes(model: Any, config: TrialConfig, images: NDArray[Any]) -> None:
    for dtype in (str(given.dtype) for given in getattr(model, "inputs", None) or ()):
        if "int" in dtype and (images.astype(dtype) != images).any():
            raise ModelError(
                f"{user_model_label(config.model)} takes images of dtype {dtype}, which rounds those of "
                f'data.scaling = "{config.data.scaling}"; set data.scaling = "none", or make its Input of float32'
            )


def _check_outputs(outputs: NDArray[np.float32], model: Any, config: TrialConfig) -> None:
    """Probabilities, or logits where the config says so. The loss divides what a sigmoid gives by its sum."""
    name, from_logits = user_model_label(config.model), config.training.from_logits
    if not np.isfinite(outputs).all():
        raise ModelError(f"{name} outputs NaN or infinity for training images; correct the model")
    are_fractions = bool((outputs >= 0).all() and (outputs <= 1).all())
    add_to_one = are_fractions and bool((np.abs(outputs.sum(axis=-1) - 1) <= TOLERANCE).all())
    if from_logits and add_to_one:
        raise ModelError(f"{name} outputs probabilities, not logits; remove training.from_logits, or its softmax")
    if not from_logits and not add_to_one and not (are_fractions and _ends_with_sigmoid(model)):
        raise ModelError(
            f"{name} does not output probabilities ({outputs.min():.3g} to {outputs.max():.3g}, "
            f"sum {outputs[0].sum():.3g}); end it with a softmax, or set training.from_logits = true"
        )


def _ends_with_sigmoid(model: Any) -> bool:
    return bool(model.layers) and getattr(model.layers[-1], "activation", None) is keras.activations.sigmoid
