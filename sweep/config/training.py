"""How a model is trained: `[regularizer]`, `[optimizer]`, `[schedule]`, `[training]`."""

from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sweep.config.section import Positive, Rate, Section
from sweep.metrics import METRICS, computed, direction_of
from sweep.spelling import did_you_mean

OptimizerName = Literal["rmsprop", "nadam", "adamax", "adam", "adamw", "sgd"]
ScheduleName = Literal["constant", "inverse_time", "exponential", "cosine"]
Precision = Literal["float32", "mixed_bfloat16"]
OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)
WITH_MOMENTUM = ("rmsprop", "sgd")
SCHEDULE_KEYS = {  # which keys a schedule reads beside initial_rate
    "constant": (),
    "inverse_time": ("decay_rate", "decay_steps", "staircase"),
    "exponential": ("decay_rate", "decay_steps", "staircase"),
    "cosine": ("decay_steps", "alpha"),
}
Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)]


class RegularizerConfig(Section):
    """Keras penalties `l1 * sum|w| + l2 * sum w^2` on the kernels of a `scope`.

    dense     dense layers, the output too
    hidden    dense layers but the output
    all       convolutions too
    """

    l1: Annotated[float, Field(ge=0)] = 0.0
    l2: Annotated[float, Field(ge=0)] = 0.0
    scope: Literal["dense", "hidden", "all"] = "dense"

    @property
    def is_on(self) -> bool:
        """Whether there is a penalty."""
        return bool(self.l1 or self.l2)


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

    `metrics` are computed after each epoch, on the validation part, beside those that Keras gives: see `sweep.metrics`.
    `precision = "auto"` is what is fast on the device; it is replaced before anything is trained, and stored so.
    """

    epochs: Positive = 10
    batch_size: Positive = 64
    patience: Positive | None = None
    monitor: str = "val_loss"
    metrics: Names = ()
    from_logits: bool = False  # whether a builder's model gives logits; else it gives probabilities
    precision: Literal[Precision, "auto"] = "float32"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0  # of weights, dropout and minibatches
    weights_seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None  # of weights and dropout, instead of `seed`

    @field_validator("metrics")
    @classmethod
    def _metrics_are_there(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        problem = next(filter(None, map(METRICS.problem, metrics)), None)
        if problem is not None:
            raise ValueError(problem)
        return computed(*metrics)

    @field_validator("monitor")
    @classmethod
    def _monitor_is_of_the_validation_part(cls, monitor: str) -> str:
        if not monitor.startswith("val_") or METRICS.problem(monitor) or direction_of(monitor) is None:
            known = [name for name in METRICS.built_in if name.startswith("val_")]
            raise ValueError(f'"{monitor}" is not one of {", ".join(known)}{did_you_mean(monitor, known)}')
        return monitor

    @property
    def computed_metrics(self) -> tuple[str, ...]:
        """Names of the functions that each epoch's logs need."""
        return computed(*self.metrics, *([] if self.patience is None else [self.monitor]))

    @property
    def layers_seed(self) -> int:
        """What initial weights and dropout are drawn from."""
        return self.seed if self.weights_seed is None else self.weights_seed
