"""The Keras layers of a CNN."""

from typing import Any

import keras

from sweep.config.model import ImageShape
from sweep.config.training import RegularizerConfig
from sweep.models.cnn.config import CnnConfig
from sweep.models.layers import dropout, hidden_layers, output_layer, penalty


def layers(model: CnnConfig, regularizer: RegularizerConfig, image_shape: ImageShape, num_classes: int) -> list[Any]:
    """Convolutions, their pools and dropouts; then flatten, dense and dropout, output."""
    model.check_images(image_shape)
    made: list[Any] = [keras.Input(image_shape)]
    for index, filters in enumerate(model.filters):
        made += _convolution(filters, model, regularizer)
        if model.pools[index] > 1:
            made.append(keras.layers.MaxPooling2D(model.pools[index]))
        made += dropout(model.lane_dropouts[index])
    made.append(keras.layers.Flatten())
    made += hidden_layers((model.dense_units,), model.activation, model.kernel_initializer, model.dropout, regularizer)
    return [*made, output_layer(num_classes, model.output_activation, model.kernel_initializer, regularizer)]


def _convolution(filters: int, model: CnnConfig, regularizer: RegularizerConfig) -> list[Any]:
    given = penalty(regularizer) if regularizer.scope == "all" else None
    options = {"padding": model.padding, "kernel_initializer": model.kernel_initializer, "kernel_regularizer": given}
    if not model.batch_normalization:
        return [keras.layers.Conv2D(filters, model.kernel_size, activation=model.activation, **options)]
    convolution = keras.layers.Conv2D(filters, model.kernel_size, **options)
    return [convolution, keras.layers.BatchNormalization(), keras.layers.Activation(model.activation)]
