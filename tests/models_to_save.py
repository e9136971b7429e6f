"""A user's models, named in configs of tests."""

import keras


class WithoutConfig(keras.Model):
    """What Keras cannot save: it has no `get_config`."""

    def __init__(self, num_classes):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(num_classes, activation="softmax")

    def call(self, images):
        return self.dense(self.flatten(images))


@keras.saving.register_keras_serializable()
class Forgetful(WithoutConfig):
    """What Keras saves and loads as something else: `get_config` lacks the scale."""

    def __init__(self, num_classes, scale=1.0, **options):
        super().__init__(num_classes)
        self.num_classes, self.scale = num_classes, scale

    def call(self, images):
        return super().call(images * self.scale)

    def get_config(self):
        return {"num_classes": self.num_classes}


@keras.saving.register_keras_serializable()
class Incomplete(WithoutConfig):
    """What Keras saves and cannot load: `get_config` lacks an argument of `__init__`."""

    def get_config(self):
        return {}


def incomplete(image_shape, num_classes):
    return Incomplete(num_classes)


@keras.saving.register_keras_serializable()
class Darker(WithoutConfig):
    """What a class computes of bytes is not what it computes of floats: they wrap round below zero."""

    def __init__(self, num_classes, **options):
        super().__init__(num_classes)
        self.num_classes = num_classes

    def call(self, images):
        return super().call(keras.ops.cast(images - 200, "float32") / 255)

    def get_config(self):
        return {"num_classes": self.num_classes}


def darker(image_shape, num_classes):
    return Darker(num_classes)


def without_config(image_shape, num_classes):
    return WithoutConfig(num_classes)


def forgetful(image_shape, num_classes):
    return Forgetful(num_classes, scale=5.0)


def with_lambda(image_shape, num_classes):
    """What Keras loads in no safe mode."""
    double = keras.layers.Lambda(lambda images: images * 2)
    return keras.Sequential([keras.Input(image_shape), double, *_head(num_classes)])


def functional(image_shape, num_classes):
    """Two ways through the images."""
    images = keras.Input(image_shape)
    both = keras.layers.Concatenate()([keras.layers.Conv2D(2, size)(images)[:, 1:-2, 1:-2] for size in (3, 3)])
    features = keras.layers.Dropout(0.1)(both)
    for layer in _head(num_classes):
        features = layer(features)
    return keras.Model(images, features)


def _head(num_classes):
    return [keras.layers.Flatten(), keras.layers.Dense(num_classes, activation="softmax")]
