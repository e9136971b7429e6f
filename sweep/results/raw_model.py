"""Build a model that takes raw images from a trained network: scaling, in float32, is its first layer."""

from typing import Any

import keras

from sweep.data import Scaling

PIXELS = (1, 2, 3)  # axes: height, width, channels


def raw_image_model(network: Any, scaling: Scaling, source_shape: tuple[int, ...]) -> Any:
    """Add the scaling in front of a network.

    Args:
        network: A compiled `keras.Model` that takes scaled images, float32 (N, H, W, C). Do not train it afterwards:
            its optimizer is moved to the returned model.
        scaling: The scaling that it was trained with.
        source_shape: Shape of an image in the data source: (H, W, C), or (H, W).

    Returns:
        A compiled model with the same layers, weights and optimizer that takes images as they are in the data source.
        It is the network itself if no scaling is needed and the network casts its input to float32.

    """
    layers = scaling_layers(scaling, source_shape)
    if not layers and _is_keras_class(network):
        return network
    images = keras.Input(source_shape)  # float32 represents integers of 8 and 16 bits exactly
    if type(network) is keras.Sequential:
        model = keras.Sequential([images, *layers, *network.layers])
    else:
        model = keras.Model(images, network(_applied(layers, images)))
    model.compile(network.optimizer, loss=network.loss, metrics=["accuracy"], jit_compile=False)
    network.optimizer, network.compiled = None, False  # or Keras would save the optimizer with the inner model
    return model


def _is_keras_class(network: Any) -> bool:
    """Return whether it is a Sequential or functional model, which cast their input, and not a custom class."""
    return type(network).__module__.partition(".")[0] == "keras"


def scaling_model(scaling: Scaling, source_shape: tuple[int, ...]) -> Any:
    """Build a model of the scaling alone.

    Args:
        scaling: The scaling.
        source_shape: Shape of an image in the data source: (H, W, C), or (H, W).

    Returns:
        A `keras.Sequential` from images as they are in the data source to scaled images, float32 (N, H, W, C).
    """
    layers = scaling_layers(scaling, source_shape)
    return keras.Sequential([keras.Input(source_shape), *(layers or [keras.layers.Identity()])])


def scaling_layers(scaling: Scaling, source_shape: tuple[int, ...]) -> list[Any]:
    """Return the Keras layers that compute (x - offset) / divisor and add a channel axis if there is none.

    Args:
        scaling: Offset and divisor.
        source_shape: Shape of an image in the data source: (H, W, C), or (H, W).

    Returns:
        The layers; empty if the result is x.
    """
    layers = [] if len(source_shape) == len(PIXELS) else [keras.layers.Reshape((*source_shape, 1))]
    if not scaling.is_division:
        return [*layers, keras.layers.Normalization(PIXELS, scaling.offset, scaling.divisor**2, dtype="float32")]
    divisor = float(scaling.divisor)
    return layers if divisor == 1 else [*layers, keras.layers.Rescaling(1 / divisor, dtype="float32")]


def _applied(layers: list[Any], images: Any) -> Any:
    for layer in layers:
        images = layer(images)
    return images
