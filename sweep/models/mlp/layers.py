"""The Keras layers of an MLP."""

from typing import Any

import keras

from sweep.config.model import ImageShape
from sweep.config.training import RegularizerConfig
from sweep.models.layers import hidden_layers, output_layer
from sweep.models.mlp.config import MlpConfig


def layers(model: MlpConfig, regularizer: RegularizerConfig, image_shape: ImageShape, num_classes: int) -> list[Any]:
    """Flatten, dense layers and dropouts, output."""
    hidden = hidden_layers(model.hidden_units, model.activation, model.kernel_initializer, model.dropout, regularizer)
    output = output_layer(num_classes, model.output_activation, model.kernel_initializer, regularizer)
    return [keras.Input(image_shape), keras.layers.Flatten(), *hidden, output]
