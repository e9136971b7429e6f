"""`Space`: what varies and what is fixed. `suggest(trial)` -> params; `resolve(params, seed)` -> TrialConfig.

`space_file` makes one, `space_checks` says what is wrong with it.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from sweep.config.data import SOURCES, DataConfig
from sweep.config.families import families_in
from sweep.config.function import FunctionConfig, RunConfig
from sweep.config.keys import set_value
from sweep.config.model import FAMILIES
from sweep.config.section import Positive, Section
from sweep.config.study_name import STUDY_NAME
from sweep.config.training import Precision
from sweep.config.trial import TrialConfig
from sweep.metrics import METRICS, TIMING, Direction, computed
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

MOST_RUNS = 1000  # seeds or folds of a trial


class StudySection(ObjectiveSection):
    """The objective or objectives, and defaults of `--trials` and `--seed`."""

    name: Annotated[str, Field(pattern=STUDY_NAME)]
    """Name of the study in the database."""
    num_trials: Positive = 30
    """Number of finished trials at which the sweep ends."""
    repeats: Annotated[int, Field(ge=2, le=MOST_RUNS)] | None = None
    """Trainings per trial, each with its own seed; the objective is their mean. Default: 1."""
    cross_validation: Annotated[int, Field(ge=2, le=MOST_RUNS)] | None = None
    """Folds per trial; the objective is the mean of their scores. Default: off."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of the sampler and of all trainings."""


class Choice(Section):
    """`[sampler]` or `[pruner]`: a name and options for Optuna's class of that name."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Space:
    """A checked space file: what is fixed, what varies, and what is sought."""

    source: str
    study: StudySection
    sampler: Choice
    pruner: Choice
    fixed: dict[str, dict[str, Any]]
    parameters: dict[str, Parameter]

    @classmethod
    def from_sections(cls, **sections: dict[str, Any]) -> "Space":
        """A space built in Python, checked as a space file is.

        Args:
            sections: Those of a space file by name: `study={"name": "mine"}`, `training={"epochs": 5}`,
                `space={"l2": {"key": "regularizer.l2", "type": "float", "low": 1e-6, "high": 1e-2, "log": True}}`.

        Raises:
            SpaceError: Something is wrong; the message names section, key and fix.
        """
        from sweep.space.file import parse_space

        return parse_space(deepcopy(sections), "the space", folder=Path.cwd())

    def with_overrides(self, overrides: Sequence[str]) -> "Space":
        """Return the space with values such as `"training.epochs=5"` in place of its own, as for a space file.

        Raises:
            SpaceError: There is no such key, or a value is invalid.
        """
        if not overrides:
            return self
        from sweep.config.keys import apply_override
        from sweep.space.file import parse_space

        content: dict[str, Any] = {
            **deepcopy(self.fixed),
            "study": self.study.model_dump(mode="json", exclude_none=True),
            "sampler": {"name": self.sampler.name, **self.sampler.options},
            "pruner": {"name": self.pruner.name, **self.pruner.options},
            "space": {name: one.model_dump(mode="json", exclude_none=True) for name, one in self.parameters.items()},
        }
        for override in overrides:
            apply_override(content, override, self.source)
        return parse_space(content, self.source)

    @property
    def function(self) -> str | None:
        """The objective that is a plain function; None where models are trained."""
        return self.study.function

    @cached_property
    def families(self) -> tuple[str, ...]:
        """The model families that are named."""
        varied = {name: one.model_dump() for name, one in self.parameters.items() if one.key == "model.family"}
        return families_in({**self.fixed, "space": varied})

    @property
    def users_code(self) -> tuple[str, ...]:
        """What of the user's own a trial runs, as `module:attribute`: the objective, or model, data source, metrics."""
        if self.function is not None:
            return (self.function,) if is_own(self.function) else ()
        metrics = map(METRICS.code_of, computed(*self.fixed.get("training", {}).get("metrics", ()), *self.metrics))
        return tuple(name for name in (self.users_model, self.users_source, *metrics) if name is not None)

    @property
    def users_source(self) -> str | None:
        """The data source, where it is not ours."""
        name = self.fixed.get("data", {}).get("name")
        return None if name is None else SOURCES.code_of(name)

    @property
    def users_model(self) -> str | None:
        """The builder, or the first of the families that are not ours: they are of one module."""
        builder: str | None = self.fixed.get("model", {}).get("builder")
        return builder or next(iter(self.users_families), None)

    @property
    def users_families(self) -> tuple[str, ...]:
        """`module:attribute` of the families that are not ours."""
        codes = map(FAMILIES.code_of, self.families)
        return tuple(dict.fromkeys(code for code in codes if code is not None))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Of each objective."""
        return self.study.sought_metrics

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Of each objective, maximize or minimize."""
        return self.study.sought_directions

    @property
    def is_timed(self) -> bool:
        """Whether an objective is a timing."""
        return TIMING in self.metrics

    @property
    def goal(self) -> str:
        """`maximize val_accuracy, minimize seconds`."""
        return ", ".join(
            f"{direction} {metric}" for direction, metric in zip(self.directions, self.metrics, strict=True)
        )

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits over everything that decides what a trial is."""
        return hashlib.sha256(json.dumps(self.record(), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def plan(self) -> RunPlan:
        """The runs of each trial."""
        return RunPlan(self.study.repeats, self.study.cross_validation)

    def record(self) -> dict[str, Any]:
        """Plain values that are stored with the study and compared on resume."""
        return {
            **{key: value for key, value in asdict(self.plan).items() if value is not None},
            **self.study.record(),
            "fixed": self.fixed,
            "space": {name: parameter.model_dump(exclude_none=True) for name, parameter in self.parameters.items()},
            "order": [*self.parameters],  # of asking, which decides what a seed gives
        }

    def with_precision(self, precision: Precision) -> "Space":
        """The space with this precision in place of "auto"; an explicit one stays."""
        training = self.fixed.get("training", {})
        if training.get("precision") != "auto":
            return self
        return replace(self, fixed={**self.fixed, "training": {**training, "precision": precision}})

    def max_epochs(self) -> int:
        """The most epochs that a run of a trial can have; a function has one."""
        return max((config.training.epochs for config in self.extreme_configs()), default=1)

    def max_steps(self) -> int:
        """The most values that a trial can report: one for each epoch, or for each of several runs."""
        return self.plan.num_runs if self.plan.num_runs > 1 else self.max_epochs()

    def data_configs(self) -> list[DataConfig]:
        """The distinct data sections of the space's extremes, in the first fold; one unless a data key varies."""
        return list(dict.fromkeys(self.plan.runs(config)[0].data for config in self.extreme_configs()))

    def extreme_configs(self) -> Iterator[TrialConfig]:
        """Configs of extreme params, see `extreme_params`; the largest models are among them."""
        return iter(self._extreme_configs)

    @cached_property
    def _extreme_configs(self) -> tuple[TrialConfig, ...]:
        if self.function is not None:
            return ()
        return tuple(self.resolve(params, seed=0) for params in extreme_params(self.parameters))

    def widest(self) -> list[tuple[int, ...]]:
        """For each number of layers, the most filters or units of each."""
        widest: dict[int, tuple[int, ...]] = {}
        for widths in (config.model.lane_widths for config in self.extreme_configs() if config.model.lane_widths):
            widest[len(widths)] = tuple(map(max, widths, widest.get(len(widths), widths)))
        return [*widest.values()]

    def suggest(self, trial: Any) -> Params:
        """Ask an Optuna trial (or anything with its suggest methods) for every active parameter, in file order."""
        return suggest_active(self.parameters, trial)

    def function_calls(self) -> list[list[str]]:
        """The names of the params that trials can have, each combination once."""
        return [[*names] for names in dict.fromkeys(tuple(params) for params in extreme_params(self.parameters))]

    def runs(self, params: Mapping[str, Any], seed: int) -> tuple[RunConfig, ...]:
        """What a trial's runs need: each a TrialConfig (`resolve`, `plan`); or the function's call."""
        if self.function is None:
            return self.plan.runs(self.resolve(params, seed))
        active = {
            name: self.parameters[name].value_of(params[name]) for name in active_parameters(self.parameters, params)
        }
        return (FunctionConfig(function=self.function, params=active, seed=seed, num_values=len(self.metrics)),)

    def resolve(self, params: Mapping[str, Any], seed: int) -> TrialConfig:
        """Fixed values and params as a TrialConfig; `seed` is the training seed unless the file fixes one."""
        values = deepcopy(self.fixed)
        training = values.setdefault("training", {})
        training.setdefault("seed", seed)
        sought = computed(*self.metrics)
        if sought:
            training["metrics"] = [*training.get("metrics", ()), *sought]
        for name in active_parameters(self.parameters, params):
            key = self.parameters[name].key
            if key is not None:
                set_value(values, key, self.parameters[name].value_of(params[name]), self.source)
        return TrialConfig.from_values(values, self.source)
