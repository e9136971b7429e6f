"""Config -> an uncompiled `keras.Model`: the families `cnn` and `mlp`, or the user's own builder by import string."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from sweep.config.model import ModelConfig
from sweep.config.training import RegularizerConfig
from sweep.config.trial import TrialConfig
from sweep.data import Dataset
from sweep.errors import ModelError
from sweep.models.checks import check_model
from sweep.models.seeding import seed_generators
from sweep.plugins.users_code import BUILDER, import_code

ImageShape = tuple[int, int, int]  # height, width, channels
NUM_CHECKED = 8  # images that a user's model is given before it is trained


def build_checked(config: TrialConfig, dataset: Dataset) -> Any:
    """`build_model` for the dataset's images and classes. ModelError if a user's model would be trained wrongly."""
    model = build_model(config, dataset.image_shape, dataset.num_classes)
    if config.model.builder is not None:
        check_model(model, config, dataset.sample(NUM_CHECKED))
    return model


def build_model(config: TrialConfig, image_shape: ImageShape, num_classes: int) -> Any:
    """The config's model with initial weights from `training.layers_seed`: (N, *image_shape) -> (N, num_classes).

    Sets the global random seeds and Keras's precision policy, and clears its session first, so that the weights depend
    on nothing that ran before.
    """
    keras.backend.clear_session()
    if config.model.builder is None:
        return keras.Sequential(seeded_layers(config, image_shape, num_classes))
    seed_generators(config.training.layers_seed)
    with _precision(config):
        return _build_users_model(config.model, image_shape, num_classes)


def seeded_layers(config: TrialConfig, image_shape: ImageShape, num_classes: int) -> list[Any]:
    """The family's layers, not yet built. Their initializers and dropout draw from `training`'s `layers_seed`.

    They draw their seeds from Python's generator, so it alone is seeded: `keras.utils.set_random_seed` would make
    TensorFlow forget every kernel it has prepared, a tenth of a second for each compiled program at its next call.
    """
    random.seed(config.training.layers_seed)
    with _precision(config):
        return _layers(config.model, config.regularizer, image_shape, num_classes)


@contextmanager
def _precision(config: TrialConfig) -> Iterator[None]:
    """Keras's dtype policy while the body runs; float32 is Keras's floatx."""
    policy = config.training.precision
    keras.config.set_dtype_policy(keras.config.floatx() if policy == "float32" else policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(keras.config.floatx())


def _layers(model: ModelConfig, regularizer: RegularizerConfig, image_shape: ImageShape, num_classes: int) -> list[Any]:
    """Convolutions, their pools and dropouts; then flatten, dense and dropout, output."""
    model.feature_map_sides(*image_shape[:2])
    layers: list[Any] = [keras.Input(image_shape)]
    for index, filters in enumerate(model.convolutions):
        layers += _convolution(filters, model, regularizer)
        if model.pools[index] > 1:
            layers.append(keras.layers.MaxPooling2D(model.pools[index]))
        layers += _dropout(model.dropouts[index])
    layers.append(keras.layers.Flatten())
    for units in model.hidden:
        layers.append(_dense(units, model.activation, model, _penalty(regularizer)))
        layers += _dropout(model.dropout)
    penalty = _penalty(regularizer) if regularizer.scope != "hidden" else None
    # float32 whatever the precision: probabilities in bfloat16 would have three digits
    layers.append(_dense(num_classes, model.output, model, penalty, dtype=keras.config.floatx()))
    return layers


def _convolution(filters: int, model: ModelConfig, regularizer: RegularizerConfig) -> list[Any]:
    penalty = _penalty(regularizer) if regularizer.scope == "all" else None
    options = {"padding": model.padding, "kernel_initializer": model.initializer, "kernel_regularizer": penalty}
    if not model.batch_norm:
        return [keras.layers.Conv2D(filters, model.kernel, activation=model.activation, **options)]
    convolution = keras.layers.Conv2D(filters, model.kernel, **options)
    return [convolution, keras.layers.BatchNormalization(), keras.layers.Activation(model.activation)]


def _dense(units: int, activation: str, model: ModelConfig, penalty: Any, dtype: Any = None) -> Any:
    return keras.layers.Dense(
        units,
        activation=activation,
        kernel_initializer=model.initializer,
        kernel_regularizer=penalty,
        dtype=dtype,
    )


def _dropout(rate: float) -> list[Any]:
    return [keras.layers.Dropout(rate)] if rate else []


def _penalty(regularizer: RegularizerConfig) -> Any:
    if not regularizer.l1 and not regularizer.l2:
        return None
    return keras.regularizers.L1L2(l1=regularizer.l1, l2=regularizer.l2)


def _build_users_model(model: ModelConfig, image_shape: ImageShape, num_classes: int) -> Any:
    """Call `builder(image_shape=..., num_classes=..., **options)`, which returns an uncompiled model."""
    built = import_code(str(model.builder), BUILDER)(image_shape=image_shape, num_classes=num_classes, **model.options)
    if not isinstance(built, keras.Model):
        raise ModelError(f"model.builder: {model.builder} returned {type(built).__name__}; it must be a keras.Model")
    if built.compiled:
        raise ModelError(
            f"model.builder: {model.builder} returned a compiled model; return it uncompiled, "
            "the config says how to compile"
        )
    given = getattr(built(keras.Input(image_shape)), "shape", None)  # a subclassed model is built by this call
    if given is None or tuple(given) != (None, num_classes):
        raise ModelError(f"model.builder: {model.builder} gives shape {given}; it must be (None, {num_classes})")
    return built
