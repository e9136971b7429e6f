"""Builders that tests name as a user would: right ones, and ones that would be trained wrongly without a word."""

from typing import Any

import keras
from keras import layers


def build(
    image_shape: tuple[int, int, int],
    num_classes: int,
    activation: str | None = "softmax",
    rescale: float | None = None,
    dtype: str | None = None,
    augment: bool = False,
    bias: float = 0.0,
) -> Any:
    """One dense layer; `rescale` scales the images first, after an augmentation if asked for."""
    before = [layers.RandomFlip("horizontal")] if augment else []
    before += [layers.Rescaling(rescale)] if rescale is not None else []
    constant = keras.initializers.Constant(bias)
    dense = layers.Dense(num_classes, activation, bias_initializer=constant)
    return keras.Sequential([keras.Input(image_shape, dtype=dtype), *before, layers.Flatten(), dense])


def rescaling_inside(image_shape: tuple[int, int, int], num_classes: int) -> Any:
    """A residual branch that is made small, behind layers with weights: no scaling of images."""
    images = keras.Input(image_shape)
    x = layers.Dense(8)(layers.Flatten()(images))
    x = layers.Add()([x, layers.Rescaling(0.1)(layers.Dense(8)(x))])
    return keras.Model(images, layers.Dense(num_classes, "softmax")(x))


def nested(image_shape: tuple[int, int, int], num_classes: int, mean: float, variance: float) -> Any:
    """The scaling is a layer of a model within the model, as in keras.applications."""
    backbone = keras.Sequential(
        [keras.Input(image_shape), layers.Normalization(mean=mean, variance=variance), layers.Flatten()]
    )
    images = keras.Input(image_shape)
    return keras.Model(images, layers.Dense(num_classes, "softmax")(backbone(images)))


class Subclassed(keras.Model):
    """Scales its images in `call`."""

    def __init__(self, num_classes: int, activation: str | None = "softmax") -> None:
        super().__init__()
        self.rescale, self.flatten = layers.Rescaling(1 / 255), layers.Flatten()
        self.dense = layers.Dense(num_classes, activation)

    def call(self, images: Any) -> Any:
        """(N, H, W, C) -> (N, num_classes)."""
        return self.dense(self.flatten(self.rescale(images)))


def subclassed(image_shape: tuple[int, int, int], num_classes: int, activation: str | None = "softmax") -> Any:
    """Its model."""
    return Subclassed(num_classes, activation)


def raising(image_shape: tuple[int, int, int], num_classes: int, units: int = 0) -> Any:
    """Fails for some options."""
    if units < 5:
        raise ValueError(f"{units} units are too few")
    return build(image_shape, num_classes)
