"""How a model is trained: `[regularizer]`, `[optimizer]`, `[schedule]`, `[training]`."""

from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sweep.config.class_weight import WeightTable
from sweep.config.loss import DEFAULT_LOSS, OF_DISTANCE, LossName
from sweep.config.section import Positive, Rate, Section
from sweep.metrics import LOGGED_METRICS, METRICS, function_metrics
from sweep.spelling import did_you_mean

OptimizerName = Literal["rmsprop", "nadam", "adamax", "adam", "adamw", "sgd"]
ScheduleName = Literal["constant", "inverse_time", "exponential", "cosine"]
Precision = Literal["float32", "mixed_bfloat16"]
OPTIMIZERS: tuple[str, ...] = get_args(OptimizerName)
WITH_MOMENTUM = ("rmsprop", "sgd")
SCHEDULE_KEYS = {  # which keys a schedule reads beside initial_learning_rate
    "constant": (),
    "inverse_time": ("decay_rate", "decay_steps", "staircase"),
    "exponential": ("decay_rate", "decay_steps", "staircase"),
    "cosine": ("decay_steps", "alpha"),
}
Names = Annotated[
    tuple[Annotated[str, METRICS], ...],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
]


class RegularizerConfig(Section):
    """Keras penalties `l1 * sum|w| + l2 * sum w^2` on the kernels of a `scope`.

    dense     dense layers, the output too
    hidden    dense layers but the output
    all       convolutions too
    """

    l1: Annotated[float, Field(ge=0)] = 0.0
    """Factor of the L1 penalty on kernels, `l1 * sum(|w|)`."""
    l2: Annotated[float, Field(ge=0)] = 0.0
    """Factor of the L2 penalty on kernels, `l2 * sum(w^2)`."""
    scope: Literal["dense", "hidden", "all"] = "dense"
    """Which kernels are penalized: dense layers, all but the output (`hidden`), or convolutions too (`all`)."""

    @property
    def is_on(self) -> bool:
        """Whether there is a penalty."""
        return bool(self.l1 or self.l2)


class OptimizerConfig(Section):
    """A Keras optimizer; its learning rate is the schedule's."""

    name: OptimizerName = "rmsprop"
    """Keras optimizer; its learning rate is `schedule.initial_learning_rate`."""
    momentum: Rate | None = None
    """Momentum of `sgd` and `rmsprop`. Default: 0."""
    nesterov: bool = False
    """Whether `sgd` uses Nesterov momentum."""
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    """Decoupled weight decay of `adamw`. Default: Keras's, 0.004."""

    @model_validator(mode="after")
    def _keys_have_an_effect(self) -> Self:
        if self.momentum is not None and self.name not in WITH_MOMENTUM:
            raise ValueError(
                f'momentum: {self.name} has no momentum; remove it, use "sgd" or "rmsprop", or condition it with when'
            )
        if self.nesterov and self.name != "sgd":
            raise ValueError(f'nesterov belongs to "sgd", not {self.name}; remove it')
        if self.weight_decay is not None and self.name != "adamw":
            raise ValueError(f'weight_decay belongs to "adamw", not {self.name}; remove it or use regularizer.l2')
        return self


class ScheduleConfig(Section):
    """Learning rate over optimizer steps (not epochs); formulas are in `sweep.engines.schedules`."""

    name: ScheduleName = "constant"
    """Keras learning rate schedule, over optimizer steps."""
    initial_learning_rate: Annotated[float, Field(gt=0)] = 0.001
    """Learning rate before any decay."""
    decay_rate: Annotated[float, Field(ge=0)] | None = None
    """Decay rate of `inverse_time` and `exponential`, which need it."""
    decay_steps: Positive | None = None
    """Steps per decay; for `cosine` the steps until the end. Default: 1, for `cosine` all steps of the training."""
    staircase: bool = False
    """Whether the rate of `inverse_time` and `exponential` decays in discrete intervals of `decay_steps`."""
    alpha: Annotated[float, Field(ge=0, le=1)] | None = None
    """Minimum learning rate of `cosine`, as a fraction of the initial one. Default: 0."""

    @model_validator(mode="after")
    def _keys_fit_the_schedule(self) -> Self:
        read = SCHEDULE_KEYS[self.name]
        for key in sorted(self.model_fields_set - {"name", "initial_learning_rate"}):
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
    """Number of epochs at most."""
    batch_size: Positive = 64
    """Images per minibatch."""
    patience: Positive | None = None
    """Early stopping: epochs without a better `monitor`; the best weights are restored. Default: off."""
    monitor: str = "val_loss"
    """Metric that early stopping watches, of those of the validation images; or `module:function`."""
    metrics: Names = ()
    """Further metrics to compute on the validation images after each epoch."""
    from_logits: bool = False
    """Whether the model of a builder returns logits instead of probabilities."""
    loss: LossName = DEFAULT_LOSS
    """Keras loss of the labels as one-hot vectors."""
    label_smoothing: Rate = 0.0
    """Share of each label that is spread over all classes, in training and in `val_loss`."""
    class_weight: Literal["balanced"] | WeightTable | None = None
    """Weight of each class in the training loss: a table by class name or number, or `balanced` by inverse frequency.
    Default: all classes count alike."""
    precision: Literal[Precision, "auto"] = "float32"
    """Keras dtype policy; `auto` takes the faster one on the device and stores it."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of initial weights, dropout and minibatch order. Default in a sweep: drawn for each trial."""
    weights_seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """Seed of initial weights and dropout instead of `seed`."""

    @model_validator(mode="after")
    def _loss_takes_what_is_given(self) -> Self:
        for key in ("from_logits", "label_smoothing"):
            if self.loss == OF_DISTANCE and getattr(self, key):
                raise ValueError(f"{key} has no effect with loss = {OF_DISTANCE!r}; remove it or change loss")
        return self

    @field_validator("metrics")
    @classmethod
    def _metrics_are_there(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        problem = next(filter(None, map(METRICS.problem, metrics)), None)
        if problem is not None:
            raise ValueError(problem)
        return function_metrics(*metrics)

    @field_validator("monitor")
    @classmethod
    def _monitor_is_of_the_validation_part(cls, monitor: str) -> str:
        of_training = [name for name in LOGGED_METRICS if not name.startswith("val_")]
        if METRICS.problem(monitor) is not None or monitor in of_training:
            known = [name for name in METRICS.built_in if name not in of_training]
            use = f"{', '.join(known)} or module:function{did_you_mean(monitor, known)}"
            raise ValueError(f'"{monitor}" is not one of {use}')
        return monitor

    @property
    def computed_metrics(self) -> tuple[str, ...]:
        """Names of the functions that each epoch's logs need."""
        return function_metrics(*self.metrics, *([] if self.patience is None else [self.monitor]))

    @property
    def has_one_hot_loss(self) -> bool:
        """Return whether the loss is another one than the cross-entropy of class numbers."""
        return self.loss != DEFAULT_LOSS or self.label_smoothing > 0

    @property
    def layers_seed(self) -> int:
        """What initial weights and dropout are drawn from."""
        return self.seed if self.weights_seed is None else self.weights_seed
