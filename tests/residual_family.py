"""A model family of a user's own, all of it in this file: residual blocks and global average pooling."""

from typing import Any, Literal

from sweep.models.family import Family, ImageShape, IntList, ModelConfig, Positive, Rate, RegularizerConfig


class ResidualConfig(ModelConfig):
    """`blocks` residual blocks of two convolutions each, a global average pooling, dense layers of `head`."""

    blocks: Positive = 2
    width: Positive = 8
    activation: Literal["relu", "elu"] = "relu"
    head: IntList = ()
    dropout: Rate = 0.0


def build(model: ResidualConfig, _: RegularizerConfig, image_shape: ImageShape, num_classes: int) -> Any:
    import keras
    from keras import layers

    images = keras.Input(image_shape)
    x = layers.Conv2D(model.width, 3, padding="same")(images)
    for _block in range(model.blocks):
        branch = layers.Conv2D(model.width, 3, padding="same", activation=model.activation)(x)
        branch = layers.Conv2D(model.width, 3, padding="same")(branch)
        x = layers.Activation(model.activation)(layers.Add()([x, branch]))
    x = layers.GlobalAveragePooling2D()(x)
    for units in model.head:
        x = layers.Dense(units, model.activation)(x)
    x = layers.Dropout(model.dropout)(x)
    return keras.Model(images, layers.Dense(num_classes, "softmax")(x))


FAMILY = Family(config=ResidualConfig, build=build)
