"""Define `Space`: which values are fixed, which vary, and what is optimized.

`suggest(trial)` samples the parameters of a trial, `resolve(params, seed)` turns them into a `TrialConfig`. A space is
read by `sweep.space.file` and checked by `sweep.space.checks`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator

from sweep.config.data import SOURCES, DataConfig
from sweep.config.families import named_families
from sweep.config.function import FunctionConfig, RunConfig
from sweep.config.keys import apply_override, set_value
from sweep.config.model import FAMILIES
from sweep.config.old_keys import changed_record, with_earliest_keys
from sweep.config.section import Positive, Section
from sweep.config.study_name import STUDY_NAME
from sweep.config.training import Precision
from sweep.config.trial import TrialConfig
from sweep.metrics import METRICS, TIMING, Direction, function_metrics
from sweep.space.functions import is_own
from sweep.space.objective import ObjectiveSection
from sweep.space.parameters import (
    Parameter,
    Params,
    active_parameters,
    extreme_params,
    suggest_active,
)
from sweep.space.runs import RunPlan

MOST_KEPT = 1000  # trials whose predictions are stored
MOST_RUNS = 1000  # seeds or folds of a trial


class StudySection(ObjectiveSection):
    """The objective or objectives, and defaults of `--trials` and `--seed`."""

    name: Annotated[str, Field(pattern=STUDY_NAME)]
    """Name of the study in the database."""
    num_trials: Positive = 30
    """Number of finished trials at which the sweep ends."""
    repeats: Annotated[int, Field(ge=2, le=MOST_RUNS)] | None = None
    """Number of trainings per trial, each with its own seed; the objective is their mean. Default: 1."""
    cross_validation: Annotated[int, Field(ge=2, le=MOST_RUNS)] | None = None
    """Number of folds per trial; the objective is the mean of their scores. Default: off."""
    try_defaults: bool = False
    """Whether the first trial has the values that the keys have if nothing varies, where they are in range."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of the sampler and of all trainings."""
    keep_predictions: Annotated[int, Field(ge=0, le=MOST_KEPT)] = 5
    """Number of best trials whose validation predictions are stored, for metrics that are computed later; 0: none."""


class Choice(Section):
    """`[sampler]` or `[pruner]`: the name of a class, and options for its constructor."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """Return the keys of the section in a space file."""
        return {"name": self.name, **self.options}


class PrunerChoice(Choice):
    """`[pruner]`: the pruner, and the metric that it watches."""

    monitor: Annotated[str, METRICS] | None = None
    """Metric that the pruner watches, of those of an epoch; or `module:function`. Default: the objective's."""

    @field_validator("monitor")
    @classmethod
    def _monitor_is_there(cls, monitor: str | None) -> str | None:
        problem = None if monitor is None else METRICS.problem(monitor)
        if problem is not None or monitor == TIMING:
            raise ValueError(problem or f"{TIMING} differs from run to run; use another metric")
        return monitor

    def values(self) -> dict[str, Any]:
        """Return the keys of the section in a space file."""
        return {**super().values(), **({} if self.monitor is None else {"monitor": self.monitor})}

    def record(self) -> dict[str, Any]:
        """Return plain values that are stored with the study and compared on resume."""
        return self.model_dump(exclude={"monitor"} if self.monitor is None else None)


@dataclass(frozen=True)
class Space:
    """A checked space: fixed values, parameters that vary, and the objectives.

    Attributes:
        source: Name of the file, for messages.
        study: Values of `[study]`.
        sampler: The sampler with its options.
        pruner: The pruner with its options.
        fixed: Fixed values by section and key.
        parameters: The parameters that vary, in the order of the file.
        first_trials: Params of the trials that are tried first.
    """

    source: str
    study: StudySection
    sampler: Choice
    pruner: PrunerChoice
    fixed: dict[str, dict[str, Any]]
    parameters: dict[str, Parameter]
    first_trials: tuple[Params, ...] = ()

    @classmethod
    def from_sections(cls, **sections: Any) -> "Space":
        """Build a space in Python, with the checks of a space file.

        Args:
            sections: The sections of a space file by name: `study={"name": "mine"}`, `training={"epochs": 5}`,
                `space={"l2": {"key": "regularizer.l2", "type": "float", "low": 1e-6, "high": 1e-2, "log": True}}`.

        Raises:
            SpaceError: A value is invalid; the message contains section, key and a fix.
        """
        from sweep.space.file import parse_space

        return parse_space(deepcopy(sections), "the space", folder=Path.cwd())

    def with_overrides(self, overrides: Sequence[str]) -> "Space":
        """Return the space with some values replaced, as `--set` does for a space file.

        Args:
            overrides: Values such as `"training.epochs=5"`.

        Raises:
            SpaceError: There is no such key, or a value is invalid.
        """
        if not overrides:
            return self
        from sweep.space.file import parse_space

        content: dict[str, Any] = {
            **deepcopy(self.fixed),
            "study": self.study.model_dump(mode="json", exclude_none=True, exclude={"try_defaults"}),
            "sampler": self.sampler.values(),
            "pruner": self.pruner.values(),
            "space": self.record()["space"],
            "trials": [*self.first_trials],
        }
        for override in overrides:
            apply_override(content, override, self.source)
        return parse_space(content, self.source)

    @property
    def function(self) -> str | None:
        """The objective function, if the objective is a plain function; None if models are trained."""
        return self.study.function

    @property
    def is_own_function(self) -> bool:
        """Whether the objective is a function of the user's, which may train and report."""
        return self.function is not None and is_own(self.function)

    @cached_property
    def families(self) -> tuple[str, ...]:
        """Names of the model families that occur in the space."""
        varied = {name: one.model_dump() for name, one in self.parameters.items() if one.key == "model.family"}
        return named_families({**self.fixed, "space": varied})

    @property
    def user_code(self) -> tuple[str, ...]:
        """User code that trials run, as `module:attribute`: the objective, or model, data source and metrics."""
        if self.function is not None:
            return (self.function,) if is_own(self.function) else ()
        recorded = function_metrics(*self.fixed.get("training", {}).get("metrics", ()), *self._watched_metrics)
        metrics = map(METRICS.code_of, recorded)
        return tuple(name for name in (self.user_model, self.user_source, *metrics) if name is not None)

    @property
    def user_source(self) -> str | None:
        """The data source, if it is user code."""
        name = self.fixed.get("data", {}).get("name")
        return None if name is None else SOURCES.code_of(name)

    @property
    def user_model(self) -> str | None:
        """The builder, or the first custom model family; all custom families are in one module."""
        builder: str | None = self.fixed.get("model", {}).get("builder")
        return builder or next(iter(self.user_families), None)

    @property
    def user_families(self) -> tuple[str, ...]:
        """The custom model families as `module:attribute`."""
        codes = map(FAMILIES.code_of, self.families)
        return tuple(dict.fromkeys(code for code in codes if code is not None))

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric of each objective."""
        return self.study.sought_metrics

    @property
    def _watched_metrics(self) -> tuple[str, ...]:
        """The metrics of the objectives and of the pruner."""
        return (*self.metrics, *([] if self.pruner.monitor is None else [self.pruner.monitor]))

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The direction of each objective, maximize or minimize."""
        return self.study.sought_directions

    @property
    def is_timed(self) -> bool:
        """Whether an objective is a timing."""
        return TIMING in self.metrics

    @property
    def goal(self) -> str:
        """The objectives in words, such as `maximize val_accuracy, minimize seconds`."""
        return ", ".join(
            f"{direction} {metric}" for direction, metric in zip(self.directions, self.metrics, strict=True)
        )

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits of a hash over everything that determines a trial."""
        record = changed_record(self.record(), with_earliest_keys)
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def plan(self) -> RunPlan:
        """The runs of each trial (folds, repeats)."""
        return RunPlan(self.study.repeats, self.study.cross_validation)

    def record(self) -> dict[str, Any]:
        """Return the plain values that are stored with the study and compared on resume."""
        return {
            **{key: value for key, value in asdict(self.plan).items() if value is not None},
            **self.study.record(),
            "fixed": self.fixed,
            "space": {name: parameter.model_dump(exclude_none=True) for name, parameter in self.parameters.items()},
            "order": [*self.parameters],  # of asking, which decides what a seed gives
            **({"trials": [*self.first_trials]} if self.first_trials else {}),
        }

    def with_precision(self, precision: Precision) -> "Space":
        """Return the space with `training.precision = "auto"` replaced; an explicit precision is kept.

        Args:
            precision: What "auto" stands for on the device.
        """
        training = self.fixed.get("training", {})
        if training.get("precision") != "auto":
            return self
        return replace(self, fixed={**self.fixed, "training": {**training, "precision": precision}})

    def max_epochs(self) -> int:
        """Return the largest number of epochs of a run; 1 for an objective function."""
        return max((config.training.epochs for config in self.extreme_configs()), default=1)

    def max_steps(self) -> int:
        """Return the largest number of values that a trial reports: one per epoch, or per run if it has several."""
        return self.plan.num_runs if self.plan.num_runs > 1 else self.max_epochs()

    def data_configs(self) -> list[DataConfig]:
        """Return the different `[data]` configs of the trials (in the first fold); one unless a data key varies."""
        return list(dict.fromkeys(self.plan.runs(config)[0].data for config in self.extreme_configs()))

    def extreme_configs(self) -> Iterator[TrialConfig]:
        """Iterate over configs at the bounds of the parameters; the largest models are among them."""
        return iter(self._extreme_configs)

    @cached_property
    def _extreme_configs(self) -> tuple[TrialConfig, ...]:
        if self.function is not None:
            return ()
        return tuple(self.resolve(params, seed=0) for params in extreme_params(self.parameters))

    def widest(self) -> list[tuple[int, ...]]:
        """Return, for each number of layers, the largest number of filters or units of each layer."""
        widest: dict[int, tuple[int, ...]] = {}
        for widths in (config.model.lane_widths for config in self.extreme_configs() if config.model.lane_widths):
            widest[len(widths)] = tuple(map(max, widths, widest.get(len(widths), widths)))
        return [*widest.values()]

    def suggest(self, trial: Any) -> Params:
        """Sample every active parameter, in the order of the file.

        Args:
            trial: An Optuna trial, or anything with its suggest methods.

        Returns:
            The values by parameter name.
        """
        return suggest_active(self.parameters, trial)

    def function_calls(self) -> list[list[str]]:
        """Return the combinations of parameter names that trials can have."""
        return [[*names] for names in dict.fromkeys(tuple(params) for params in extreme_params(self.parameters))]

    def runs(self, params: Mapping[str, Any], seed: int, number: int = 0) -> tuple[RunConfig, ...]:
        """Return the config of each run of a trial: a `TrialConfig`, or the call of the objective function.

        Args:
            params: The values of a trial.
            seed: Seed of the trial.
            number: Number of the trial, which its own training loop may ask for.
        """
        if self.function is None:
            return self.plan.runs(self.resolve(params, seed))
        active = {
            name: self.parameters[name].value_of(params[name]) for name in active_parameters(self.parameters, params)
        }
        num_values = len(self.metrics)
        return (FunctionConfig(function=self.function, params=active, seed=seed, num_values=num_values, number=number),)

    def resolve(self, params: Mapping[str, Any], seed: int) -> TrialConfig:
        """Return fixed values and parameters as one config.

        Args:
            params: The values of a trial; those of inactive parameters are ignored.
            seed: Training seed, unless the space fixes one.

        Raises:
            SpaceError: The values do not fit together.
        """
        values = deepcopy(self.fixed)
        training = values.setdefault("training", {})
        training.setdefault("seed", seed)
        sought = function_metrics(*self._watched_metrics)
        if sought:
            training["metrics"] = [*training.get("metrics", ()), *sought]
        for name in active_parameters(self.parameters, params):
            key = self.parameters[name].key
            if key is not None:
                set_value(values, key, self.parameters[name].value_of(params[name]), self.source)
        return TrialConfig.from_values(values, self.source)
