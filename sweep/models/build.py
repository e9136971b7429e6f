"""Config -> an uncompiled `keras.Model`, by its family."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from sweep.config.model import ImageShape
from sweep.config.trial import TrialConfig
from sweep.data import Dataset
from sweep.errors import ModelError
from sweep.models.checks import check_model
from sweep.models.family import family_of, user_model_label
from sweep.models.freezing import set_frozen
from sweep.models.own_compilation import check_own_compilation
from sweep.models.seeding import seed_generators

NUM_CHECKED = 8  # images that a user's model is given before it is trained


def build_checked(config: TrialConfig, dataset: Dataset) -> Any:
    """Build the config's model for the dataset's images and classes; its frozen layers are frozen.

    Raises:
        ModelError: A user's model would be trained wrongly, contradicts the config, or has no layer of a name to
            freeze.

    """
    model = build_model(config, dataset.image_shape, dataset.num_classes)
    if config.model.user_code is not None:
        check_model(model, config, dataset.sample(NUM_CHECKED))
    if model.compiled:
        check_own_compilation(model, config)
    if config.fine_tuning.is_on:
        set_frozen(model, config, frozen=True)
    return model


def build_model(config: TrialConfig, image_shape: ImageShape, num_classes: int) -> Any:
    """The config's model with initial weights from `training.layers_seed`: (N, *image_shape) -> (N, num_classes).

    Sets the global random seeds and Keras's precision policy, and clears its session first, so that the weights depend
    on nothing that ran before.
    """
    keras.backend.clear_session()
    family = family_of(config.model)
    if family.build is None:
        model = keras.Sequential(seeded_layers(config, image_shape, num_classes))
    else:
        seed_generators(config.training.layers_seed)
        with _precision(config):
            model = family.build(config.model, config.regularizer, image_shape, num_classes)
    if config.model.user_code is not None:
        _check_form(model, user_model_label(config.model), image_shape, num_classes)
    return model


def seeded_layers(config: TrialConfig, image_shape: ImageShape, num_classes: int) -> list[Any]:
    """The family's layers, not yet built. Their initializers and dropout draw from `training`'s `layers_seed`.

    They draw their seeds from Python's generator, so it alone is seeded: `keras.utils.set_random_seed` would make
    TensorFlow forget every kernel it has prepared, a tenth of a second for each compiled program at its next call.
    """
    layers = family_of(config.model).layers
    assert layers is not None
    random.seed(config.training.layers_seed)
    with _precision(config):
        return layers(config.model, config.regularizer, image_shape, num_classes)


@contextmanager
def _precision(config: TrialConfig) -> Iterator[None]:
    """Keras's dtype policy while the body runs; float32 is Keras's floatx."""
    policy = config.training.precision
    keras.config.set_dtype_policy(keras.config.floatx() if policy == "float32" else policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(keras.config.floatx())


def _check_form(built: Any, who: str, image_shape: ImageShape, num_classes: int) -> None:
    """ModelError unless the user's code has made a model for such images and classes."""
    if not isinstance(built, keras.Model):
        raise ModelError(f"{who} returned {type(built).__name__}; it must be a keras.Model")
    given = getattr(built(keras.Input(image_shape)), "shape", None)  # a subclassed model is built by this call
    if given is None or tuple(given) != (None, num_classes):
        raise ModelError(f"{who} outputs shape {given}; it must be (None, {num_classes})")
