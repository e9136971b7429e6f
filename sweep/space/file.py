"""Space file -> checked `Space`. A space file is data: nothing in it is executed.

Its sections are those of `TrialConfig` (fixed values), `[study]`, `[sampler]`, `[pruner]` and `[space]` (what varies).
Everything is checked before anything is trained, every error in one line that names file, key and fix.
"""

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sweep.config.families import make_families_importable, named_families
from sweep.config.keys import apply_override, check_is_section, parse_value
from sweep.config.model import FAMILIES
from sweep.config.old_keys import with_current_keys
from sweep.config.plain_values import read_toml, resolve_path, short_repr
from sweep.config.section import Section, first_problem
from sweep.config.study_name import name_as_file
from sweep.config.trial import SECTIONS, meant_key
from sweep.errors import SpaceError
from sweep.plugins.registry import CUSTOM_NAME
from sweep.plugins.user_code import UserCode, recorded_code
from sweep.space.checks import check_space
from sweep.space.first_trials import default_params, parse_first_trials
from sweep.space.objective import stored_objectives
from sweep.space.parameters import KINDS, Parameter
from sweep.space.space import Choice, PrunerChoice, Space, StudySection
from sweep.spelling import did_you_mean

OPTION_ENDS = re.compile(r",(?![^\[{]*[\]}])")  # commas outside of a list or table
MOST_PARAMETERS = 500
MOST_CHARACTERS = 200  # of a parameter's name


def load_space(path: Path, overrides: Iterable[str] = ()) -> Space:
    """Read and check a space file; `overrides` are `section.key=value`. SpaceError if anything is wrong."""
    content, overrides = read_toml(path), [*overrides]
    make_families_importable(content, overrides, path.resolve().parent, Path.cwd())
    content = with_current_keys(content, str(path))
    for override in overrides:
        apply_override(content, override, str(path))
    return parse_space(content, str(path), folder=path.parent)


def stored_space(study_name: str, record: dict[str, Any], code: UserCode | None = None) -> Space:
    """The space of a study, from its `Space.record` that is stored with it; its file is not needed.

    Args:
        study_name: The study's.
        record: As `Space.record` gave it.
        code: The user's code as it is stored with the study; a family of the user's is looked for there.
    """
    content = {**record["fixed"], "space": record["space"], "trials": record.get("trials", [])}
    runs = {key: record[key] for key in ("repeats", "cross_validation") if key in record}
    content["study"] = {"name": name_as_file(study_name), **stored_objectives(record), **runs}
    make_families_importable(content, [], Path.cwd(), recorded=code)
    return parse_space(content, f"study {study_name}")


def stored_family_code(settings: Mapping[str, Any]) -> UserCode | None:
    """Return the recorded code of the custom family that `stored_space` imports; None if there is none."""
    space = settings.get("space", {})
    named = named_families({**space.get("fixed", {}), "space": space.get("space", {})})
    codes = [code for name in named if (code := FAMILIES.code_of(name)) is not None]
    return recorded_code(settings.get("code")) or UserCode(codes[0], "", "") if codes else None


def parse_space(content: dict[str, Any], source: str, folder: Path | None = None) -> Space:
    """Check the parsed content of a space file; relative data paths are taken from `folder`."""
    sections = (*SECTIONS, "study", "sampler", "pruner", "space", "trials")
    unknown = sorted(set(content) - {*sections})
    if unknown:
        meant = meant_key(unknown[0], also=sections)
        raise SpaceError(
            f"{source}: unknown section [{unknown[0]}]{meant or '; the sections are ' + ', '.join(sections)}"
        )
    content = with_current_keys(content, source)
    space = Space(
        source=source,
        study=_parse(StudySection, content.get("study", {}), source, "study"),
        sampler=_parse(Choice, _named(content.get("sampler", {"name": "tpe"})), source, "sampler"),
        pruner=_parse(PrunerChoice, _named(content.get("pruner", {"name": "none"}), "monitor"), source, "pruner"),
        fixed=_fixed_values(content, source, folder),
        parameters=_parse_parameters(content.get("space", {}), source),
    )
    check_space(space)
    first = parse_first_trials(content.get("trials", []), space)
    if space.study.try_defaults and (defaults := default_params(space)):
        first = (defaults, *first)
    return replace(space, first_trials=first)


def _parse(kind: type[Section], value: Any, source: str, key: str) -> Any:
    check_is_section(value, source, key)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        known = [f"{key}.{name}" for name in kind.model_fields]
        raise SpaceError(f"{source}: {first_problem(error, key, known)}") from None


def _named(section: Any, *ours: str) -> Any:
    """`[sampler] name = ..., other = ...`: every key but `ours` is an option of Optuna's class."""
    if not isinstance(section, dict):
        return section
    own = {key: section[key] for key in ("name", *ours) if key in section}
    return {**own, "options": {key: value for key, value in section.items() if key not in own}}


def parse_choice(text: str, flag: str) -> Choice:
    """Parse a sampler or pruner of the command line: `NAME`, `module:Class` or `NAME:KEY=VALUE,...`.

    Args:
        text: Such as `percentile:percentile=25`.
        flag: Name of the option, for messages.

    Raises:
        SpaceError: An option has no `=`.
    """
    own = re.match(rf"({CUSTOM_NAME.pattern})(?::|$)", text)
    name, _, rest = (own[1], "", text[own.end() :]) if own is not None else text.partition(":")
    options: dict[str, Any] = {}
    for option in filter(None, OPTION_ENDS.split(rest)):
        key, separator, value = option.partition("=")
        if not separator or not key.strip():
            raise SpaceError(f"{flag} {text}: {option!r} is not an option; write NAME:KEY=VALUE,KEY=VALUE")
        options[key.strip()] = parse_value(value, f"{flag} {name}:{key.strip()}")
    return Choice(name=name, options=options)


def parse_pruner(text: str) -> PrunerChoice:
    """Parse a pruner of the command line as `parse_choice` does; `monitor` is the metric that it watches.

    Args:
        text: Such as `median:monitor=val_loss`.

    Raises:
        SpaceError: An option has no `=`, or there is no such metric.
    """
    pruner: PrunerChoice = _parse(
        PrunerChoice, _named(parse_choice(text, "--pruner").values(), "monitor"), "--pruner", "pruner"
    )
    return pruner


def _parse_parameters(section: dict[str, Any], source: str) -> dict[str, Parameter]:
    check_is_section(section, source, "space")
    if len(section) > MOST_PARAMETERS:
        raise SpaceError(f"{source}: space: {len(section)} parameters vary; at most {MOST_PARAMETERS} can, fix some")
    parameters: dict[str, Parameter] = {}
    for name, value in section.items():
        if not name.isprintable() or not 1 <= len(name) <= MOST_CHARACTERS:
            raise SpaceError(
                f"{source}: space.{short_repr(name)}: a name has 1 to {MOST_CHARACTERS} characters in one line"
            )
        check_is_section(value, source, f"space.{name}")
        if str(value.get("type")) not in KINDS:
            given = f"{value['type']!r} is unknown" if "type" in value else "missing"
            meant = did_you_mean(str(value.get("type")), KINDS)
            raise SpaceError(f"{source}: space.{name}.type: {given}; use {', '.join(KINDS)}{meant}")
        parameter = _parse(KINDS[str(value["type"])], value, source, f"space.{name}")
        for condition, wanted in (parameter.when or {}).items():
            _check_condition(parameters, condition, wanted, f"{source}: space.{name}.when")
        parameters[name] = parameter
    return parameters


def _check_condition(earlier: dict[str, Parameter], condition: str, wanted: list[Any], where: str) -> None:
    if condition not in earlier:
        raise SpaceError(
            f'{where}: "{condition}" is not a parameter above this one; correct the name or move [space.{condition}] up'
            f"{did_you_mean(condition, earlier)}"
        )
    if not wanted:
        raise SpaceError(
            f"{where}: {condition} has no value, so this parameter would never be sampled; list at least one"
        )
    strange = [value for value in wanted if not earlier[condition].can_be(value)]
    if strange:
        known = earlier[condition].values()
        meant = did_you_mean(str(strange[0]), map(str, known or ()))
        raise SpaceError(f"{where}: {condition} is never {strange[0]!r}; correct the value{meant}")


def _fixed_values(content: dict[str, Any], source: str, folder: Path | None) -> dict[str, dict[str, Any]]:
    fixed = {section: deepcopy(content[section]) for section in SECTIONS if section in content}
    for section, values in fixed.items():
        check_is_section(values, source, section)
    for section in ("data", "model"):
        check_is_section(fixed.get(section, {}).get("options", {}), source, f"{section}.options")
    path = fixed.get("data", {}).get("path")
    if folder is not None and isinstance(path, str):
        fixed["data"]["path"] = resolve_path(path, folder, source)
    return fixed
