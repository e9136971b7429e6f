"""Config keys that are spelled as in Keras today, and their earlier spellings, which files and databases still use.

Earlier spellings are read everywhere and written nowhere. They are replaced here, before anything else sees them.
"""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from sweep.config.families import families_in, model_keys, old_model_keys
from sweep.config.model import FAMILIES
from sweep.errors import SpaceError

OLD_KEYS = {
    "data.validation_fraction": "data.validation_split",
    "schedule.initial_rate": "schedule.initial_learning_rate",
}
KERAS_KEYS = {  # where Keras has the key of an optimizer without a schedule
    "optimizer.learning_rate": "schedule.initial_learning_rate",
    "schedule.learning_rate": "schedule.initial_learning_rate",
}


def other_spellings(families: Collection[str] = ()) -> dict[str, str]:
    """Return every spelling that is read besides the config keys themselves, as `section.key` -> `section.key`.

    Args:
        families: Model families that the file names. A key that one of them has is its own.

    Raises:
        SpaceError: There is no such family.
    """
    others = [name for name in families if name not in FAMILIES.built_in]
    if not others:
        return _spellings_of_ours()
    own = model_keys(families)
    old = {f"model.{key}": f"model.{new}" for key, new in old_model_keys(others).items() if key not in own}
    return {**OLD_KEYS, **KERAS_KEYS, **old}


@cache
def _spellings_of_ours() -> dict[str, str]:
    return {**OLD_KEYS, **KERAS_KEYS, **{f"model.{key}": f"model.{new}" for key, new in old_model_keys().items()}}


def current_key(key: str, families: Collection[str] = ()) -> str:
    """Return the config key that a spelling stands for; the spelling itself if it is none.

    >>> current_key("model.kernel"), current_key("optimizer.learning_rate")
    ('model.kernel_size', 'schedule.initial_learning_rate')
    """
    return other_spellings(families).get(key, key)


def with_current_keys(content: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the content of a config or space file with every key in its current spelling.

    Args:
        content: Parsed TOML. What is not as it should be (a section that is a value) is left for later checks.
        source: The name of the file, for errors.

    Raises:
        SpaceError: A key is given in two spellings.
    """
    changed = {name: dict(part) if isinstance(part, dict) else part for name, part in content.items()}
    try:
        spellings = other_spellings(families_in(content))
    except SpaceError:  # no such family, which a later check reports
        spellings = other_spellings()
    for old, new in spellings.items():
        _move(changed, old, new, source)
    parameters = changed.get("space")
    if isinstance(parameters, dict):
        changed["space"] = {name: _with_current_key(one, spellings) for name, one in parameters.items()}
    return changed


def _move(content: dict[str, Any], old: str, new: str, source: str) -> None:
    section, _, key = old.partition(".")
    other, _, current = new.partition(".")
    values = content.get(section)
    if not isinstance(values, dict) or key not in values:
        return
    target = content.setdefault(other, {})
    if not isinstance(target, dict):
        return
    if current in target:
        raise SpaceError(f"{source}: {old} and {new} are the same key; remove {old}")
    target[current] = values.pop(key)


def _with_current_key(parameter: Any, spellings: Mapping[str, str]) -> Any:
    key = parameter.get("key") if isinstance(parameter, dict) else None
    return {**parameter, "key": spellings[key]} if isinstance(key, str) and key in spellings else parameter
