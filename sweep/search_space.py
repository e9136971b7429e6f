"""Space file -> checked `Space`; `suggest(trial)` -> params; `resolve(params, seed)` -> TrialConfig.

A space file is data: nothing in it is executed. Its sections are those of `TrialConfig` (fixed values), `[study]`,
`[sampler]`, `[pruner]` and `[space]` (what varies). Everything is checked before anything is trained, every error in
one line that names file, key and fix.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from sweep.config import (
    SECTIONS,
    STUDY_NAME,
    DataConfig,
    Positive,
    Section,
    TrialConfig,
    first_problem,
    read_toml,
    resolved_path,
    shown,
)
from sweep.config_keys import KEYS, LIST_KEYS, apply_override, check_is_section, set_value
from sweep.errors import SpaceError
from sweep.function_config import FunctionConfig, RunConfig
from sweep.objective_functions import check_calls, is_own
from sweep.objective_section import TIMING, Direction, ObjectiveSection, stored_objectives
from sweep.parameters import (
    KINDS,
    Parameter,
    Params,
    active_parameters,
    combined_params,
    extreme_params,
    suggest_active,
)

SHAPE_KEYS = ("model.kernel", "model.pool", "model.padding")  # with the conditions of filters_n, what shapes the maps
MOST_PARAMETERS = 500
MOST_CHARACTERS = 200  # of a parameter's name
MOST_CORNERS = 2000  # ends of ranges and choices, of all parameters together


class StudySection(ObjectiveSection):
    """`[study]`: what is sought (see `ObjectiveSection`), and the defaults of the flags `--trials` and `--seed`."""

    name: Annotated[str, Field(pattern=STUDY_NAME)]
    num_trials: Positive = 30
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


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

    @property
    def function(self) -> str | None:
        """The objective that is a plain function; None where models are trained."""
        return self.study.function

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

    def record(self) -> dict[str, Any]:
        """Plain values that are stored with the study and compared on resume."""
        return {
            **self.study.record(),
            "fixed": self.fixed,
            "space": {name: parameter.model_dump(exclude_none=True) for name, parameter in self.parameters.items()},
            "order": [*self.parameters],  # of asking, which decides what a seed gives
        }

    def max_epochs(self) -> int:
        """The most epochs that a trial can have; a function has one."""
        return max((config.training.epochs for config in self.extreme_configs()), default=1)

    def data_configs(self) -> list[DataConfig]:
        """The distinct data sections of the space's extremes; one unless a data key varies."""
        return list(dict.fromkeys(config.data for config in self.extreme_configs()))

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
        for config in self.extreme_configs():
            widths = config.model.widths
            widest[len(widths)] = tuple(map(max, widths, widest.get(len(widths), widths)))
        return [*widest.values()]

    def suggest(self, trial: Any) -> Params:
        """Ask an Optuna trial (or anything with its suggest methods) for every active parameter, in file order."""
        return suggest_active(self.parameters, trial)

    def function_calls(self) -> list[list[str]]:
        """The names of the params that trials can have, each combination once."""
        return [[*names] for names in dict.fromkeys(tuple(params) for params in extreme_params(self.parameters))]

    def run_config(self, params: Mapping[str, Any], seed: int) -> RunConfig:
        """What a trial's run needs: a TrialConfig (`resolve`), or the function's call."""
        if self.function is None:
            return self.resolve(params, seed)
        active = {name: params[name] for name in active_parameters(self.parameters, params)}
        return FunctionConfig(function=self.function, params=active, seed=seed, num_values=len(self.metrics))

    def resolve(self, params: Mapping[str, Any], seed: int) -> TrialConfig:
        """Fixed values and params as a TrialConfig; `seed` is the training seed unless the file fixes one."""
        values = deepcopy(self.fixed)
        values.setdefault("training", {}).setdefault("seed", seed)
        for name in active_parameters(self.parameters, params):
            key = self.parameters[name].key
            if key is not None:
                set_value(values, key, params[name], self.source)
        return TrialConfig.from_values(values, self.source)


def load_space(path: Path, overrides: Iterable[str] = ()) -> Space:
    """Read and check a space file; `overrides` are `section.key=value`. SpaceError if anything is wrong."""
    content = read_toml(path)
    for override in overrides:
        apply_override(content, override, str(path))
    return parse_space(content, str(path), folder=path.parent)


def stored_space(study_name: str, settings: Mapping[str, Any]) -> Space:
    """The space of a study, from the settings stored with it; its file is not needed."""
    space = settings["space"]
    content = {**space["fixed"], "space": space["space"]}
    content["study"] = {"name": study_name, **stored_objectives(space)}
    return parse_space(content, f"study {study_name}")


def parse_space(content: dict[str, Any], source: str, folder: Path | None = None) -> Space:
    """Check the parsed content of a space file; relative data paths are taken from `folder`."""
    unknown = sorted(set(content) - {*SECTIONS, "study", "sampler", "pruner", "space"})
    if unknown:
        raise SpaceError(
            f"{source}: unknown section [{unknown[0]}]; "
            f"the sections are {', '.join(SECTIONS)}, study, sampler, pruner, space"
        )
    space = Space(
        source=source,
        study=_parse(StudySection, content.get("study", {}), source, "study"),
        sampler=_parse(Choice, _named(content.get("sampler", {"name": "tpe"})), source, "sampler"),
        pruner=_parse(Choice, _named(content.get("pruner", {"name": "none"})), source, "pruner"),
        fixed=_fixed_values(content, source, folder),
        parameters=_parse_parameters(content.get("space", {}), source),
    )
    if space.function is not None:
        _check_function(space)
    else:
        _check_keys(space)
        _check_configs(space)
    return space


def _check_function(space: Space) -> None:
    """Nothing is trained, so there is nothing to configure; a built-in function knows its parameters."""
    section = next(iter(space.fixed), None)
    if section is not None:
        raise SpaceError(f"{space.source}: {section}: a function is called with the params alone; remove it")
    keyed = next((name for name, parameter in space.parameters.items() if parameter.key is not None), None)
    if keyed is not None:
        raise SpaceError(f"{space.source}: space.{keyed}.key: a function takes {keyed} by its name; remove the key")
    if not is_own(space.study.function or ""):
        try:
            check_calls(space.study.function or "", space.function_calls())
        except SpaceError as error:
            raise SpaceError(f"{space.source}: {error}") from None


def _parse(kind: type[Section], value: Any, source: str, key: str) -> Any:
    check_is_section(value, source, key)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise SpaceError(f"{source}: {first_problem(error, key)}") from None


def _named(section: Any) -> Any:
    """`[sampler] name = ..., other = ...`: every other key is an option of Optuna's class."""
    if not isinstance(section, dict):
        return section
    options = {key: value for key, value in section.items() if key != "name"}
    return {**{key: section[key] for key in section if key == "name"}, "options": options}


def _parse_parameters(section: dict[str, Any], source: str) -> dict[str, Parameter]:
    check_is_section(section, source, "space")
    if len(section) > MOST_PARAMETERS:
        raise SpaceError(f"{source}: space: {len(section)} parameters vary; at most {MOST_PARAMETERS} can, fix some")
    parameters: dict[str, Parameter] = {}
    for name, value in section.items():
        if not name.isprintable() or not 1 <= len(name) <= MOST_CHARACTERS:
            raise SpaceError(f"{source}: space.{shown(name)}: a name has 1 to {MOST_CHARACTERS} characters in one line")
        check_is_section(value, source, f"space.{name}")
        if str(value.get("type")) not in KINDS:
            given = f"{value['type']!r} is unknown" if "type" in value else "missing"
            raise SpaceError(f"{source}: space.{name}.type: {given}; use {', '.join(KINDS)}")
        parameter = _parse(KINDS[str(value["type"])], value, source, f"space.{name}")
        for condition, wanted in (parameter.when or {}).items():
            _check_condition(parameters, condition, wanted, f"{source}: space.{name}.when")
        parameters[name] = parameter
    return parameters


def _check_condition(earlier: dict[str, Parameter], condition: str, wanted: list[Any], where: str) -> None:
    if condition not in earlier:
        raise SpaceError(
            f'{where}: "{condition}" is no parameter above this one; correct the name or move [space.{condition}] up'
        )
    if not wanted:
        raise SpaceError(f"{where}: {condition} has no value, so this parameter would never be asked for; name some")
    strange = [value for value in wanted if not earlier[condition].can_be(value)]
    if strange:
        raise SpaceError(f"{where}: {condition} is never {strange[0]!r}; correct the value")


def _fixed_values(content: dict[str, Any], source: str, folder: Path | None) -> dict[str, dict[str, Any]]:
    fixed = {section: deepcopy(content[section]) for section in SECTIONS if section in content}
    for section, values in fixed.items():
        check_is_section(values, source, section)
    check_is_section(fixed.get("model", {}).get("options", {}), source, "model.options")
    path = fixed.get("data", {}).get("path")
    if folder is not None and isinstance(path, str):
        fixed["data"]["path"] = resolved_path(path, folder, source)
    return fixed


def _check_keys(space: Space) -> None:
    """Each parameter varies a key that exists, that nothing else sets, or decides a condition."""
    used_in_conditions = {name for parameter in space.parameters.values() for name in parameter.when or {}}
    owners: dict[str, list[str]] = {}
    for name, parameter in space.parameters.items():
        where = f"{space.source}: space.{name}.key"
        if parameter.key is None:
            if name not in used_in_conditions:
                raise SpaceError(
                    f'{where}: missing, and no `when` names {name}, so it has no effect; add key = "section.key"'
                )
            continue
        _check_key(space, parameter.key, where)
        owners.setdefault(parameter.key, []).append(name)
    for head in LIST_KEYS:
        fixed = space.fixed.get("model", {}).get(head, [])
        if (
            isinstance(fixed, list)
            and fixed
            and all(f"model.{head}.{number}" in owners for number in range(1, len(fixed) + 1))
        ):
            raise SpaceError(f"{space.source}: model.{head}: each of them varies in [space]; remove the fixed list")
    for key, names in owners.items():
        if len(names) > 1 and any(space.parameters[name].when is None for name in names):
            raise SpaceError(
                f"{space.source}: space.{names[1]}.key: {key} is varied by {names[0]} too; "
                "remove one, or condition both with when"
            )


def _check_key(space: Space, key: str, where: str) -> None:
    section, _, name = key.partition(".")
    head, _, rest = name.partition(".")
    if section not in KEYS or head not in KEYS[section]:
        known = (
            f"{section} has {', '.join(sorted(KEYS[section]))}"
            if section in KEYS
            else f"the sections are {', '.join(SECTIONS)}"
        )
        raise SpaceError(f'{where}: "{key}" is no config key; {known}')
    if key == "model.builder":
        raise SpaceError(f"{where}: a builder is code and cannot vary; vary its model.options.NAME")
    if head in LIST_KEYS and rest:
        if not re.fullmatch("[1-9][0-9]{0,3}", rest):
            raise SpaceError(f'{where}: "{key}" must end in a number from 1; model.{head}.1 is the first layer')
        return
    if head != "options" and rest:
        raise SpaceError(f'{where}: "{key}" goes too deep; use "{section}.{head}"')
    if head == "options" and not rest:
        raise SpaceError(f'{where}: name the option, as in "model.options.width"')
    given = space.fixed.get(section, {})
    if (rest in given.get("options", {})) if rest else (head in given):
        raise SpaceError(f"{where}: {key} is fixed in [{section}] too; remove it there or here")


def _check_configs(space: Space) -> None:
    """Resolve every pair of extreme values (low, high, each choice), so that what cannot be built is said now."""
    num_corners = sum(len(parameter.extremes()) for parameter in space.parameters.values())
    if num_corners > MOST_CORNERS:
        raise SpaceError(
            f"{space.source}: space: {num_corners} choices and ends of ranges, of which at most {MOST_CORNERS} "
            "can be checked; use ranges for choices, or fix some"
        )
    for params in extreme_params(space.parameters):
        _check_set_once(space, params)
        try:
            config = space.resolve(params, seed=0)
        except SpaceError as error:
            shown = ", ".join(f"{name}={value}" for name, value in params.items())
            raise SpaceError(f"{error} (with {shown})" if params else str(error)) from None
        if config.data.train_on != "train":
            raise SpaceError(f'{space.source}: data.train_on: a sweep scores on the validation part; use "train"')
        if config.data.validation != "split":
            raise SpaceError(f'{space.source}: data.validation: a sweep never reads the test set; use "split"')


def _check_set_once(space: Space, params: Params) -> None:
    keys: dict[str, str] = {}
    for name in active_parameters(space.parameters, params):
        key = space.parameters[name].key
        if key is not None and keys.setdefault(key, name) != name:
            raise SpaceError(f"{space.source}: space.{name}.when: {keys[key]} sets {key} under the same conditions")


def check_feature_maps(space: Space, image_shape: tuple[int, int, int]) -> None:
    """SpaceError if some config of the space leaves no feature map of such images (height, width, channels)."""
    conditions = {name for parameter in space.parameters.values() for name in parameter.when or {}}
    shaping = [name for name, one in space.parameters.items() if one.key in SHAPE_KEYS or name in conditions]
    for params in combined_params(space.parameters, shaping):
        config = space.resolve(params, seed=0)
        if config.model.builder is None:
            try:
                config.model.feature_map_sides(*image_shape[:2])
            except SpaceError as error:
                raise SpaceError(f"{space.source}: {error} for images of {image_shape[0]}x{image_shape[1]}") from None
