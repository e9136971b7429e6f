"""A trained network -> a model that takes raw images: its scaling is its first layer, in float32."""

from typing import Any

import keras

from sweep.data import Scaling

PIXELS = (1, 2, 3)  # axes: height, width, channels


def takes_raw_images(network: Any, scaling: Scaling, source_shape: tuple[int, ...]) -> Any:
    """Put the scaling before a network.

    Args:
        network: A compiled `keras.Model` that takes scaled images float32 (N, H, W, C); it is to be trained no more,
            as the optimizer is then the model's.
        scaling: What it is trained with.
        source_shape: Of an image in its source: (H, W, C), or (H, W).

    Returns:
        A compiled model with the same layers, weights and optimizer that takes images as they are in their source; the
        network itself where nothing is to be done to them and it casts them to float32 itself.

    """
    layers = scaling_layers(scaling, source_shape)
    if not layers and _is_kerass_own(network):
        return network
    images = keras.Input(source_shape)  # float32 holds integers of 8 and 16 bits exactly
    if type(network) is keras.Sequential:
        model = keras.Sequential([images, *layers, *network.layers])
    else:
        model = keras.Model(images, network(_applied(layers, images)))
    model.compile(network.optimizer, loss=network.loss, metrics=["accuracy"], jit_compile=False)
    network.optimizer, network.compiled = None, False  # Keras saves its state once, for the innermost that holds it
    return model


def _is_kerass_own(network: Any) -> bool:
    """Whether it is a Sequential or a functional model, which cast at their Input, and no user's class."""
    return type(network).__module__.partition(".")[0] == "keras"


def scaling_model(scaling: Scaling, source_shape: tuple[int, ...]) -> Any:
    """The scaling alone, from images as they are in their source to those that a network takes."""
    layers = scaling_layers(scaling, source_shape)
    return keras.Sequential([keras.Input(source_shape), *(layers or [keras.layers.Identity()])])


def scaling_layers(scaling: Scaling, source_shape: tuple[int, ...]) -> list[Any]:
    """Keras's own layers for (x - offset) / divisor, with an axis of channels; none where that is x."""
    layers = [] if len(source_shape) == len(PIXELS) else [keras.layers.Reshape((*source_shape, 1))]
    if not scaling.is_division:
        return [*layers, keras.layers.Normalization(PIXELS, scaling.offset, scaling.divisor**2, dtype="float32")]
    divisor = float(scaling.divisor)
    return layers if divisor == 1 else [*layers, keras.layers.Rescaling(1 / divisor, dtype="float32")]


def _applied(layers: list[Any], images: Any) -> Any:
    for layer in layers:
        images = layer(images)
    return images
