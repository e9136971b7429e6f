"""`TrialConfig`: everything one training run needs, typed, frozen and writable as TOML.

A sweep produces one, an export writes one, a retrain reads one. The sections are those of a space file; defaults
are given in this package and nowhere else. It knows neither Keras nor Optuna.
"""

from typing import Any, Self

from pydantic import ValidationError, model_validator

from sweep.config.data import DataConfig
from sweep.config.model import FAMILY_KEYS, ModelConfig
from sweep.config.section import Section, first_problem
from sweep.config.training import OptimizerConfig, Precision, RegularizerConfig, ScheduleConfig, TrainingConfig
from sweep.errors import SpaceError


class TrialConfig(Section):
    """One training run. Equal configs on the same machine give equal weights, bit for bit."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    regularizer: RegularizerConfig = RegularizerConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    training: TrainingConfig = TrainingConfig()

    @model_validator(mode="after")
    def _patience_has_a_validation_part(self) -> Self:
        if self.training.patience is not None and self.data.train_on == "train+validation":
            raise ValueError("training.patience needs a validation part; remove it and set training.epochs")
        return self

    @model_validator(mode="after")
    def _regularizer_has_layers(self) -> Self:
        if self.model.builder is not None and (self.regularizer.l1 or self.regularizer.l2):
            raise ValueError("regularizer has no effect with a builder; pass it through [model.options]")
        return self

    @model_validator(mode="after")
    def _families_give_probabilities(self) -> Self:
        if self.training.from_logits and self.model.builder is None:
            raise ValueError("training.from_logits belongs to a builder: our families give probabilities; remove it")
        return self

    @classmethod
    def from_values(cls, values: dict[str, Any], source: str) -> Self:
        """Check nested plain values; `source` (a file's name) opens the one-line SpaceError."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SpaceError(f"{source}: {first_problem(error, known=CONFIG_KEYS)}") from None

    def with_precision(self, precision: Precision) -> Self:
        """The config with this precision in place of "auto"; an explicit one stays."""
        if self.training.precision != "auto":
            return self
        return self.model_copy(update={"training": self.training.model_copy(update={"precision": precision})})

    def values(self) -> dict[str, Any]:
        """Nested plain values (JSON and TOML kinds), without None and without keys that have no effect."""
        values: dict[str, Any] = self.model_dump(mode="json", exclude_none=True)
        if self.model.builder is not None:
            values["model"] = {"builder": self.model.builder, "options": self.model.options}
        else:
            del values["model"]["options"]
            for family, keys in FAMILY_KEYS.items():
                for key in keys if family != self.model.family else ():
                    del values["model"][key]
        return values


SECTIONS = tuple(TrialConfig.model_fields)
KEYS: dict[str, set[str]] = {
    section: set(TrialConfig.model_fields[section].annotation.model_fields)  # type: ignore[union-attr]
    for section in SECTIONS
}
CONFIG_KEYS = tuple(f"{section}.{key}" for section in SECTIONS for key in sorted(KEYS[section]))
