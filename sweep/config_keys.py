"""`section.key` names of config values: which there are, setting one, and `--set section.key=value`."""

import tomllib
from pathlib import Path
from typing import Any

from sweep.config import SECTIONS, TrialConfig, check_plain, resolved_path
from sweep.errors import SpaceError

KEYS = {
    section: set(TrialConfig.model_fields[section].annotation.model_fields)  # type: ignore[union-attr]
    for section in SECTIONS
}
LIST_KEYS = ("filters", "hidden_units")  # of [model]: an item for each layer


def set_value(values: dict[str, Any], key: str, value: Any, source: str) -> None:
    """Set `section.key`, also `model.filters.N` and its like, `model.options.NAME`; `source` opens a SpaceError."""
    section, _, name = key.partition(".")
    head, _, rest = name.partition(".")
    target = values.setdefault(section, {})
    check_is_section(target, source, section)
    if head in LIST_KEYS and rest:
        items = target.get(head, [])
        if not isinstance(items, list):
            raise SpaceError(f"{source}: model.{head}: a list is wanted, as in [32, 64] (got {items!r})")
        position = int(rest) - 1
        if position > len(items):
            raise SpaceError(
                f"{source}: {key} is set, but there is no model.{head}.{position}; name them in order from 1"
            )
        target[head] = [*items[:position], value, *items[position + 1 :]]
    elif rest:
        target.setdefault("options", {})[rest] = value
    else:
        target[head] = value


def apply_override(content: dict[str, Any], override: str, source: str) -> None:
    """`section.key=value`: TOML, or text where it is not TOML; nothing after `=` puts the default back."""
    key, separator, text = override.partition("=")
    section, _, name = key.strip().partition(".")
    head, _, rest = name.partition(".")
    if not separator or section not in KEYS or head not in KEYS[section] or (rest and head != "options"):
        raise SpaceError(f"--set {override}: expected section.key=value with a config key, as in training.epochs=5")
    if not text.strip():
        content.get(section, {}).pop(head, None)
        return
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text.strip()
    check_plain(value, f"--set {key}")
    if key.strip() == "data.path" and isinstance(value, str):
        value = resolved_path(value, Path.cwd(), "--set")  # given on the command line: from the current folder
    set_value(content, key.strip(), value, source)


def check_is_section(value: Any, source: str, key: str) -> None:
    if not isinstance(value, dict):
        raise SpaceError(f"{source}: {key} must be a section [{key}], not a value")
