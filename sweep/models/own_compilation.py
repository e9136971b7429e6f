"""Models that a builder has compiled: their optimizer, loss and metrics are kept."""

from collections.abc import Iterator
from typing import Any

from sweep.config.training import OptimizerConfig, ScheduleConfig, TrainingConfig
from sweep.config.trial import TrialConfig
from sweep.errors import ModelError
from sweep.models.family import user_model_label

OF_COMPILE = ("loss", "label_smoothing")  # keys of `[training]` that `compile` decides on
DEFAULTS = {"optimizer": OptimizerConfig(), "schedule": ScheduleConfig()}


def check_own_compilation(model: Any, config: TrialConfig) -> None:
    """Check that a compiled model and the config do not contradict each other.

    Args:
        model: The compiled `keras.Model` of a builder.
        config: The config of the run.

    Raises:
        ModelError: A key of the config has no effect, or contradicts the model's loss.

    """
    label = user_model_label(config.model)
    key = next(_keys_without_effect(config), None)
    if key is not None:
        raise ModelError(f"{key} has no effect: {label} returns a compiled model; remove it, or return it uncompiled")
    from_logits = getattr(model.loss, "from_logits", None)
    if from_logits is not None and from_logits != config.training.from_logits:
        raise ModelError(f"{label} is compiled with from_logits={from_logits}; set training.from_logits to the same")


def _keys_without_effect(config: TrialConfig) -> Iterator[str]:
    """Yield the keys that differ from their defaults although the model has its own optimizer and loss."""
    for section, defaults in DEFAULTS.items():
        given = getattr(config, section)
        for key in type(defaults).model_fields:
            if getattr(given, key) != getattr(defaults, key):
                yield f"{section}.{key}"
    for key in OF_COMPILE:
        if getattr(config.training, key) != TrainingConfig.model_fields[key].default:
            yield f"training.{key}"
    if config.fine_tuning.frozen_epochs is not None:
        yield "fine_tuning.frozen_epochs"


def check_logs(names: Any, config: TrialConfig) -> None:
    """Check that a compiled model logs the accuracy, which sweep records of each epoch.

    Raises:
        ModelError: It does not.

    """
    if "accuracy" not in names:
        label = user_model_label(config.model)
        raise ModelError(f'{label} is compiled without accuracy; add metrics=["accuracy"] to its compile')
