"""Freeze and unfreeze the layers that a config names."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import keras

from sweep.config.trial import TrialConfig
from sweep.errors import ModelError
from sweep.models.family import user_model_label


def set_frozen(model: Any, config: TrialConfig, *, frozen: bool) -> None:
    """Freeze or unfreeze the layers that `fine_tuning.freeze` names.

    Args:
        model: The `keras.Model`; compile it afterwards.
        config: The config of the run.
        frozen: Whether the layers' weights are kept as they are.

    Raises:
        ModelError: A name matches no layer, or nothing is left to train.

    """
    layers = [*_layers(model)]
    for pattern in config.fine_tuning.freeze:
        matching = [layer for layer in layers if fnmatchcase(layer.name, pattern)]
        if not matching:
            names = ", ".join(layer.name for layer in model.layers)
            label = user_model_label(config.model)
            raise ModelError(f'fine_tuning.freeze: {label} has no layer "{pattern}"; it has {names}')
        for layer in matching:
            layer.trainable = not frozen
    if not model.trainable_variables:
        raise ModelError("fine_tuning.freeze: no weights are left to train; name fewer layers")


def _layers(model: Any) -> Iterator[Any]:
    """Yield the layers of a model, and those of nested models."""
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
