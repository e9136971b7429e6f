"""`TrialConfig`: everything one training run needs, typed, frozen and writable as TOML.

A sweep produces one, an export writes one, a retrain reads one. The sections are those of a space file; defaults
are given in this package and nowhere else. It knows neither Keras nor Optuna.
"""

from collections.abc import Collection, Iterable
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError, model_validator

from sweep.config.augmentation import AugmentationConfig
from sweep.config.data import DataConfig
from sweep.config.families import config_class, model_config, model_keys, named_families
from sweep.config.fine_tuning import FineTuningConfig
from sweep.config.loss import DEFAULT_LOSS
from sweep.config.model import DEFAULT_FAMILY, OF_BUILDERS, ModelConfig
from sweep.config.old_keys import other_spellings, with_current_keys
from sweep.config.section import Section, first_problem
from sweep.config.training import OptimizerConfig, Precision, RegularizerConfig, ScheduleConfig, TrainingConfig
from sweep.errors import SpaceError
from sweep.metrics import METRICS
from sweep.spelling import did_you_mean


class TrialConfig(Section):
    """Everything that one training run needs. Equal configs give equal weights on one machine, bit for bit."""

    data: DataConfig = DataConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    model: Annotated[SerializeAsAny[ModelConfig], BeforeValidator(model_config)] = Field(
        default_factory=lambda: config_class(DEFAULT_FAMILY)()  # type: ignore[call-arg]
    )
    regularizer: RegularizerConfig = RegularizerConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    training: TrainingConfig = TrainingConfig()
    fine_tuning: FineTuningConfig = FineTuningConfig()

    @model_validator(mode="after")
    def _patience_has_a_validation_part(self) -> Self:
        if self.training.patience is not None and self.data.train_on == "train+validation":
            raise ValueError("training.patience needs a validation part; remove it and set training.epochs")
        return self

    @model_validator(mode="after")
    def _model_has_what_is_asked_of_it(self) -> Self:
        model, is_built = self.model, self.model.family == OF_BUILDERS
        if self.regularizer.is_on and not model.uses_regularizer:
            instead = "a builder; pass it through [model.options]" if is_built else f"family {model.family}; remove it"
            raise ValueError(f"regularizer has no effect with {instead}")
        if self.training.from_logits and not model.may_give_logits:
            raise ValueError(f"training.from_logits has no effect: {model.family} gives probabilities; remove it")
        return self

    @model_validator(mode="after")
    def _pixel_values_have_a_range(self) -> Self:
        if self.augmentation.needs_value_range and self.data.scaling == "standard":
            changed = [key for key in ("contrast", "brightness", "erasing") if getattr(self.augmentation, key)]
            raise ValueError(
                f'augmentation.{changed[0]} needs pixel values of a fixed range, not data.scaling = "standard"; '
                'use "unit"'
            )
        return self

    @model_validator(mode="after")
    def _layers_to_freeze_have_names(self) -> Self:
        if self.fine_tuning.is_on and self.model.user_code is None:
            raise ValueError("fine_tuning.freeze needs a model with named layers: a builder, or a family of your own")
        return self

    @property
    def user_code(self) -> tuple[str, ...]:
        """What of the user's own is run to train it, as `module:function`."""
        metrics = map(METRICS.code_of, self.training.computed_metrics)
        return tuple(name for name in (self.model.user_code, self.data.user_code, *metrics) if name is not None)

    @classmethod
    def from_values(cls, values: dict[str, Any], source: str) -> Self:
        """Check nested plain values and return them as a config.

        Args:
            values: Values by section and key, as in TOML.
            source: Name of the file, for messages.

        Raises:
            SpaceError: A value is invalid; the message contains source, key and a fix.
        """
        current = with_current_keys(values, source)
        try:
            return cls.model_validate(current)
        except ValidationError as error:
            families = named_families(values)
            problem = first_problem(error, known=config_keys(families), others=other_spellings(families))
            raise SpaceError(f"{source}: {problem}") from None
        except SpaceError as error:  # no such family
            raise SpaceError(f"{source}: {error}") from None

    def with_precision(self, precision: Precision) -> Self:
        """Return the config with `training.precision = "auto"` replaced; an explicit precision is kept.

        Args:
            precision: What "auto" stands for on the device.
        """
        if self.training.precision != "auto":
            return self
        return self.model_copy(update={"training": self.training.model_copy(update={"precision": precision})})

    def values(self) -> dict[str, Any]:
        """Nested plain values (JSON and TOML kinds), without None and without keys that have no effect."""
        values: dict[str, Any] = self.model_dump(mode="json", exclude_none=True)
        if not self.data.options:
            del values["data"]["options"]
        for key in OPTIONAL_TRAINING_KEYS:
            if not getattr(self.training, key) or getattr(self.training, key) == DEFAULT_LOSS:
                del values["training"][key]
        for section in OPTIONAL_SECTIONS:
            if not getattr(self, section).is_on:
                del values[section]
        return {**values, "model": self.model.values()}


SECTIONS = tuple(TrialConfig.model_fields)
OPTIONAL_TRAINING_KEYS = ("metrics", "loss", "label_smoothing")  # left out in the same way
OPTIONAL_SECTIONS = ("augmentation", "fine_tuning")  # which `TrialConfig.values` leaves out where they have no effect


def section_keys(families: Iterable[str] = ()) -> dict[str, list[str]]:
    """The keys of each section, sorted; of `[model]` those of our families and of the named ones.

    Raises:
        SpaceError: There is no such family.
    """
    fields = {section: field.annotation for section, field in TrialConfig.model_fields.items() if section != "model"}
    keys: dict[str, Iterable[str]] = {section: kind.model_fields for section, kind in fields.items()}  # type: ignore[union-attr]
    return {section: sorted(model_keys(families) if section == "model" else keys[section]) for section in SECTIONS}


def config_keys(families: Iterable[str] = ()) -> tuple[str, ...]:
    """`section.key` of each of `section_keys`."""
    return tuple(f"{section}.{key}" for section, keys in section_keys(families).items() for key in keys)


def meant_key(key: str, families: Collection[str] = (), also: Iterable[str] = ()) -> str:
    """Return `did_you_mean` for a config key that there is not.

    Args:
        key: As the user wrote it.
        families: Those that the file names.
        also: What else could have been meant.

    Raises:
        SpaceError: There is no such family.
    """
    return did_you_mean(key, [*also, *config_keys(families)], other_spellings(families))
