"""`TrialConfig`: everything one training run needs, typed, frozen and writable as TOML.

A sweep produces one, an export writes one, a retrain reads one. The sections are those of a space file; defaults
are given here and nowhere else. This module knows neither Keras nor Optuna.
"""

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from sweep.config.plain_values import shown
from sweep.config.spelling import did_you_mean
from sweep.errors import SpaceError

Fraction = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1, lt=2**31)]
IntList = Annotated[
    tuple[Positive, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
]

FamilyName = Literal["cnn", "mlp"]
OptimizerName = Literal["rmsprop", "nadam", "adamax", "adam", "adamw", "sgd"]
ScheduleName = Literal["constant", "inverse_time", "exponential", "cosine"]
Precision = Literal["float32", "mixed_bfloat16"]
DEFAULT_VALIDATION_FRACTION = 0.2
NO_VALUE = ("none", "off")  # these leave a key out whose default is off
STUDY_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
WITH_MOMENTUM = ("rmsprop", "sgd")
FAMILY_KEYS: dict[str, tuple[str, ...]] = {  # which keys only one family reads
    "cnn": (
        "filters",
        "kernel",
        "pool",
        "convolutions_per_pool",
        "padding",
        "batch_norm",
        "dense_units",
        "convolution_dropout",
    ),
    "mlp": ("hidden_units",),
}
SCHEDULE_KEYS = {  # which keys a schedule reads beside initial_rate
    "constant": (),
    "inverse_time": ("decay_rate", "decay_steps", "staircase"),
    "exponential": ("decay_rate", "decay_steps", "staircase"),
    "cosine": ("decay_steps", "alpha"),
}


class Section(BaseModel):
    """A part of a config: unknown keys, wrong kinds, NaN and infinity are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_is_off(cls, values: Any) -> Any:
        """TOML has no null: `patience = "none"` is the same as no line."""
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if not (value in NO_VALUE and cls._may_be_off(key, value))}

    @classmethod
    def _may_be_off(cls, key: str, text: Any) -> bool:
        """Whether the key's default is off (None, 0 or false), and the text is none of its values."""
        field = cls.model_fields.get(key)
        if field is None or field.default not in (None, 0, False):
            return False
        kinds = [kind for one in get_args(field.annotation) for kind in (one, *get_args(one))]
        return text not in kinds and str not in kinds and field.annotation is not str


class DataConfig(Section):
    """Which images, how they are split and scaled. Counts are images; fractions are of what is split."""

    name: Literal["digits", "mnist", "npz"] = "digits"
    path: str | None = None
    test_fraction: Fraction = 0.2  # only for data that brings no test set of its own
    validation_fraction: Fraction = DEFAULT_VALIDATION_FRACTION
    num_train: Positive | None = None
    num_validation: Positive | None = None
    validation: Literal["split", "test"] = "split"  # "test": the test set, as in the articles; never in a sweep
    num_folds: Annotated[int, Field(ge=2, lt=2**31)] | None = None
    fold: Positive | None = None  # of `num_folds`, 1 for the first: the validation part, all else is trained on
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    scaling: Literal["unit", "standard", "none"] = "unit"  # "none": the model gets raw values, as float32
    train_on: Literal["train", "train+validation"] = "train"  # the second leaves no validation part: for retrain

    @model_validator(mode="after")
    def _keys_fit_together(self) -> Self:
        if self.name == "npz" and self.path is None:
            raise ValueError('name = "npz" needs path = "my_images.npz"')
        if self.validation == "test" and self.train_on != "train":
            raise ValueError('validation = "test" splits nothing off, so train_on = "train" is all that is not test')
        if (self.fold is None) != (self.num_folds is None) or (self.fold or 0) > (self.num_folds or 0):
            raise ValueError("fold = 1 to num_folds; give both, or none of them")
        if self.name == "digits" and self.path is not None:
            raise ValueError("path has no effect: digits comes with scikit-learn; remove it or change name")
        return self

    @model_validator(mode="after")
    def _validation_part_is_said_once(self) -> Self:
        if self.validation == "test" and self.num_folds is not None:
            raise ValueError('folds have no effect with validation = "test"; remove one of them')
        for key in ("num_validation", "validation_fraction"):
            is_given = key in self.model_fields_set and getattr(self, key) not in (None, DEFAULT_VALIDATION_FRACTION)
            if is_given and self.num_folds is not None:
                raise ValueError(f"{key} has no effect: a fold is the validation part; remove it")
            if is_given and self.validation == "test":
                raise ValueError(f'{key} has no effect with validation = "test"; remove it')
        return self


class ModelConfig(Section):
    """The network: a family, or the user's own `builder` with its `options`.

    cnn    convolutions of `filters`, in groups of `convolutions_per_pool`; after each group a pool, but not after the
           last, and a dropout (`convolution_dropout`); one dense layer of `dense_units`, dropout, output
    mlp    dense layers of `hidden_units`, dropout after each, output
    """

    family: FamilyName = "cnn"
    filters: Annotated[IntList, Field(min_length=1)] = (32, 64)
    kernel: Positive = 3
    pool: Positive = 2
    convolutions_per_pool: Positive = 1
    padding: Literal["valid", "same"] = "valid"
    activation: Literal["relu", "sigmoid", "elu", "tanh"] = "relu"
    dense_units: Positive = 64
    hidden_units: Annotated[IntList, Field(min_length=1)] = (64, 64)
    output: Literal["softmax", "sigmoid"] = "softmax"
    initializer: Literal[
        "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
        "lecun_uniform", "lecun_normal", "uniform", "normal", "zeros",
    ] = "glorot_uniform"  # fmt: skip
    convolution_dropout: Rate = 0.0
    dropout: Rate = 0.0
    batch_norm: bool = False
    builder: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _builder_stands_alone(self) -> Self:
        if self.builder is None and self.options:
            raise ValueError('options are passed to a builder; add builder = "my_models:build" or remove them')
        ignored = self.model_fields_set - {"builder", "options"}
        if self.builder is not None and ignored:
            raise ValueError(f"{sorted(ignored)[0]} has no effect with a builder; move it to [model.options]")
        for family, keys in FAMILY_KEYS.items():
            strange = sorted(self.model_fields_set.intersection(keys)) if family != self.family else []
            if strange:
                raise ValueError(f'{strange[0]} belongs to family = "{family}", not {self.family}; remove it')
        try:
            json.dumps(self.options, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"options must be JSON values, as they are stored with the study: {error}") from None
        return self

    @property
    def convolutions(self) -> tuple[int, ...]:
        """Filters of each convolution; an MLP has none."""
        return self.filters if self.family == "cnn" else ()

    @property
    def hidden(self) -> tuple[int, ...]:
        """Units of each dense layer but the output."""
        return (self.dense_units,) if self.family == "cnn" else self.hidden_units

    @property
    def widths(self) -> tuple[int, ...]:
        """Filters of each convolution, then units of each hidden dense layer."""
        return (*self.convolutions, *self.hidden)

    @property
    def pools(self) -> tuple[int, ...]:
        """The size of the pool after each convolution; 1 where there is none.

        >>> ModelConfig(filters=(32, 32, 64, 64, 64), convolutions_per_pool=2).pools
        (1, 2, 1, 2, 1)
        """
        last = len(self.convolutions) - 1
        return tuple(self.pool if index != last and self._ends_group(index) else 1 for index in range(last + 1))

    @property
    def dropouts(self) -> tuple[float, ...]:
        """The rate of the dropout after each of `widths`; 0 where there is none.

        >>> ModelConfig(filters=(32, 32, 64), convolutions_per_pool=2, convolution_dropout=0.3, dropout=0.5).dropouts
        (0.0, 0.3, 0.3, 0.5)
        """
        indices = range(len(self.convolutions))
        groups = [self.convolution_dropout if self._ends_group(index) else 0.0 for index in indices]
        return (*groups, *(self.dropout for _ in self.hidden))

    def _ends_group(self, index: int) -> bool:
        number = index + 1
        return number == len(self.convolutions) or number % self.convolutions_per_pool == 0

    def feature_map_sides(self, height: int, width: int) -> list[tuple[int, int]]:
        """(height, width) after each convolution and its pool; SpaceError if nothing is left.

        >>> ModelConfig(filters=(32, 64, 64)).feature_map_sides(28, 28)
        [(13, 13), (5, 5), (3, 3)]
        """
        shrink = 0 if self.padding == "same" else self.kernel - 1
        sides = []
        for index, pool in enumerate(self.pools):
            height, width = (height - shrink) // pool, (width - shrink) // pool
            if min(height, width) < 1:
                raise SpaceError(
                    f"model.filters: convolution {index + 1} of {len(self.filters)} (kernel {self.kernel}, "
                    f'pool {self.pool}, padding "{self.padding}") leaves no feature map; '
                    'use fewer filters, a smaller kernel or padding = "same"'
                )
            sides.append((height, width))
        return sides


class RegularizerConfig(Section):
    """Keras penalties `l1 * sum|w| + l2 * sum w^2` on the kernels of a `scope`.

    dense     dense layers, the output too
    hidden    dense layers but the output
    all       convolutions too
    """

    l1: Annotated[float, Field(ge=0)] = 0.0
    l2: Annotated[float, Field(ge=0)] = 0.0
    scope: Literal["dense", "hidden", "all"] = "dense"


class OptimizerConfig(Section):
    """A Keras optimizer; its learning rate is the schedule's."""

    name: OptimizerName = "rmsprop"
    momentum: Rate | None = None
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _keys_have_an_effect(self) -> Self:
        if self.momentum is not None and self.name not in WITH_MOMENTUM:
            raise ValueError(
                f'momentum: {self.name} has none; remove it, use "sgd" or "rmsprop", or condition it with when'
            )
        if self.nesterov and self.name != "sgd":
            raise ValueError(f'nesterov belongs to "sgd", not {self.name}; remove it')
        if self.weight_decay is not None and self.name != "adamw":
            raise ValueError(f'weight_decay belongs to "adamw", not {self.name}; remove it or use regularizer.l2')
        return self


class ScheduleConfig(Section):
    """Learning rate over optimizer steps (not epochs); formulas are in `sweep.engines.schedules`."""

    name: ScheduleName = "constant"
    initial_rate: Annotated[float, Field(gt=0)] = 0.001
    decay_rate: Annotated[float, Field(ge=0)] | None = None
    decay_steps: Positive | None = None
    staircase: bool = False
    alpha: Annotated[float, Field(ge=0, le=1)] | None = None

    @model_validator(mode="after")
    def _keys_fit_the_schedule(self) -> Self:
        read = SCHEDULE_KEYS[self.name]
        for key in sorted(self.model_fields_set - {"name", "initial_rate"}):
            if key not in read and getattr(self, key) not in (None, False):
                raise ValueError(
                    f"{key} has no effect with the {self.name} schedule; remove it or change schedule.name"
                )
        if "decay_rate" in read and self.decay_rate is None:
            raise ValueError(f"decay_rate is missing: the {self.name} schedule needs it")
        return self


class TrainingConfig(Section):
    """How long and how to train. With `patience`, training stops after so many epochs without a better `monitor`.

    `precision = "auto"` is what is fast on the device; it is replaced before anything is trained, and stored so.
    """

    epochs: Positive = 10
    batch_size: Positive = 64
    patience: Positive | None = None
    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    from_logits: bool = False  # whether a builder's model gives logits; else it gives probabilities
    precision: Literal[Precision, "auto"] = "float32"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0  # of weights, dropout and minibatches
    weights_seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None  # of weights and dropout, instead of `seed`

    @property
    def layers_seed(self) -> int:
        """What initial weights and dropout are drawn from."""
        return self.seed if self.weights_seed is None else self.weights_seed


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
OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)


def first_problem(error: ValidationError, section: str = "", known: Iterable[str] = ()) -> str:
    """The first problem of a pydantic error as `section.key: what is wrong (what was given)`.

    Args:
        error: What pydantic raised.
        section: Opens the key.
        known: The keys that there are, from which the one that was probably meant is named.
    """
    problem = error.errors()[0]
    key = ".".join(str(part) for part in (section, *problem["loc"]) if part != "")
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        meant = did_you_mean(key, known)
        message = f"unknown key{meant or '; remove it or correct its spelling'}"
    elif problem["type"] == "missing":
        message = "missing; add it"
    elif problem["type"] != "value_error":
        message += f" (got {shown(problem['input'])})"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{key}: {message}{more}" if key else f"{message}{more}"
