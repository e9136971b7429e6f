"""`section.key` names of config values: which there are, setting one, and `--set section.key=value`."""

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sweep.config.families import model_keys, named_families
from sweep.config.old_keys import current_key
from sweep.config.plain_values import check_plain, resolve_path
from sweep.config.trial import meant_key, section_keys
from sweep.errors import SpaceError
from sweep.spelling import did_you_mean

OPTIONS = "options"  # of [model]: a table, whose keys are the matter of a builder
FLAGS = {  # what changes the other sections of a space file
    "study": "; use --study, --trials or --seed",
    "sampler": "; use --sampler",
    "pruner": "; use --pruner",
}


def set_value(values: dict[str, Any], key: str, value: Any, source: str) -> None:
    """Set `section.key`, also `model.filters.N` and its like, `SECTION.options.NAME`; `source` opens a SpaceError."""
    section, _, name = key.partition(".")
    head, _, rest = name.partition(".")
    target = values.setdefault(section, {})
    check_is_section(target, source, section)
    if rest and head != OPTIONS:
        items = target.get(head, [])
        if not isinstance(items, list):
            raise SpaceError(f"{source}: model.{head}: must be a list, such as [32, 64], got {items!r}")
        position = int(rest) - 1
        if position > len(items):
            raise SpaceError(
                f"{source}: {key} is set, but there is no model.{head}.{position}; number them in order from 1"
            )
        target[head] = [*items[:position], value, *items[position + 1 :]]
    elif rest:
        _set_option(target.setdefault("options", {}), section, rest, value, source)
    else:
        target[head] = value


def option_is_set(options: Any, path: str) -> bool:
    """Whether `options` hold a value at a dotted path, as `head.width`."""
    for name in path.split("."):
        if not isinstance(options, dict) or name not in options:
            return False
        options = options[name]
    return True


def _set_option(options: dict[str, Any], section: str, path: str, value: Any, source: str) -> None:
    """An option, or one inside a table of options: `head.width` of `options = { head = { width = 8 } }`."""
    *tables, last = path.split(".")
    for depth, name in enumerate(tables, start=1):
        options = options.setdefault(name, {})
        if not isinstance(options, dict):
            inside = ".".join(tables[:depth])
            raise SpaceError(
                f"{source}: {section}.options.{path}: {section}.options.{inside} is not a table; remove it"
            )
    options[last] = value


def apply_override(content: dict[str, Any], override: str, source: str) -> None:
    """Apply `--set section.key=value` to the content of a config or space file.

    The value is TOML, or text where it is not TOML. Nothing after `=` puts the default back. In a space file a key that
    `[space]` varies is fixed (its parameter keeps that one choice), and `space.NAME.high=0.3` narrows a parameter.

    Args:
        content: The parsed file, changed in place.
        override: What the user gave.
        source: The file's name, for errors.

    Raises:
        SpaceError: If there is no such key.
    """
    key, separator, text = override.partition("=")
    families = _families(content, source)
    key = current_key(key.strip(), families)
    parameters = content.get("space", {})
    if not separator:
        raise SpaceError(f"--set {override}: write section.key=value, as in training.epochs=5")
    if key.startswith("space.") and isinstance(parameters, dict) and parameters:
        _override_parameter(parameters, key, text, override)
        return
    _check_key(key, override, families)
    varied = [one for one in parameters.values() if isinstance(one, dict) and one.get("key") == key]
    if not text.strip():
        if varied:
            raise SpaceError(f"--set {override}: {key} varies in [space]; give it a value, or edit the file")
        _put_default_back(content, key)
        return
    value = _parsed(key, text)
    for parameter in varied:
        _fix(parameter, value)
    if not varied:
        set_value(content, key, value, source)


def _families(content: Mapping[str, Any], source: str) -> tuple[str, ...]:
    """Those that the content names; SpaceError if there is no such one."""
    try:
        families = named_families(content)
        model_keys(families)
    except SpaceError as error:
        raise SpaceError(f"{source}: {error}") from None
    return families


def _put_default_back(content: dict[str, Any], key: str) -> None:
    *tables, last = key.split(".")
    for name in tables:
        content = content.get(name, {}) if isinstance(content, dict) else {}
    if isinstance(content, dict):
        content.pop(last, None)


def _check_key(key: str, override: str, families: Collection[str]) -> None:
    section, _, name = key.partition(".")
    head, _, rest = name.partition(".")
    has_items = section == "model" and model_keys(families).get(head, False)
    if head not in section_keys(families).get(section, ()) or (rest and head != OPTIONS and not has_items):
        meant = FLAGS.get(section) or meant_key(key, families)
        reason = "write section.key=value with a config key, as in training.epochs=5"
        raise SpaceError(f'--set {override}: "{key}" is not a config key{meant or f"; {reason}"}')
    if has_items and rest and not rest.isdigit():
        raise SpaceError(f"--set {override}: must end in a layer's number, as in model.{head}.1")


def _parsed(key: str, text: str) -> Any:
    """The value; a path is taken from the current folder, as it was given on the command line."""
    value = parse_value(text, f"--set {key}")
    if key == "data.path" and isinstance(value, str):
        return resolve_path(value, Path.cwd(), "--set")
    return value


def _override_parameter(parameters: dict[str, Any], key: str, text: str, override: str) -> None:
    """`space.NAME.high=0.3`; what it gives is checked with the rest of the file."""
    _, name, field = key.split(".", 2) if key.count(".") >= 2 else ("", key.partition(".")[2], "")
    if name not in parameters:
        names = [f"space.{one}" for one in parameters]
        known = f"; [space] has {', '.join(parameters)}"
        raise SpaceError(
            f"--set {override}: no parameter is named {name}{did_you_mean(f'space.{name}', names) or known}"
        )
    if not field or not isinstance(parameters[name], dict):
        raise SpaceError(f"--set {override}: write space.{name}.high=value, or the config key that it sets")
    if text.strip():
        parameters[name][field] = _parsed(key, text)
    else:
        parameters[name].pop(field, None)


def _fix(parameter: dict[str, Any], value: Any) -> None:
    """One choice instead of a range: conditions on the parameter, and its own, hold as before."""
    for field in parameter.keys() - {"key", "when"}:
        del parameter[field]
    parameter.update(type="categorical", choices=[value])


def parse_value(text: str, source: str) -> Any:
    """A value of the command line: TOML, or text where it is not TOML. `source` opens a SpaceError."""
    try:
        ((_, value),) = tomllib.loads(f"value = {text}").items()  # ValueError where other keys follow on more lines
    except (ValueError, RecursionError):
        value = text.strip()
    check_plain(value, source)
    return value


def check_is_section(value: Any, source: str, key: str) -> None:
    if not isinstance(value, dict):
        raise SpaceError(f"{source}: {key} must be a section [{key}], not a value")
