"""Config keys that are spelled as in Keras today, and their earlier spellings, which files and databases still use.

Earlier spellings are read everywhere and written nowhere. They are replaced here, before anything else sees them. Only
a space's fingerprint is still computed from them, so that it stays the one that was printed before.
"""

from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import Any

from sweep.config.families import model_keys, named_families, old_model_keys
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
    try:
        spellings = other_spellings(named_families(content))
    except SpaceError:  # no such family, which a later check reports
        spellings = other_spellings()
    return _respelled(content, spellings, source)


def with_earliest_keys(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a checked space file with every key in its earliest spelling."""
    others = other_spellings(named_families(content)).items()
    return _respelled(content, {new: old for old, new in others if old not in KERAS_KEYS}, "the space")


def changed_record(record: Mapping[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Return a `Space.record`, whose fixed values are apart, as a change of a file's content makes it."""
    content = change({**record["fixed"], "space": record.get("space", {})})
    return {**record, "space": content.pop("space"), "fixed": content}


def _respelled(content: Mapping[str, Any], spellings: Mapping[str, str], source: str) -> dict[str, Any]:
    changed = {name: dict(part) if isinstance(part, dict) else part for name, part in content.items()}
    written: dict[str, str] = {}  # how the user spells what is moved
    for old, new in spellings.items():
        if _move(changed, old, new, f"{source}: {old} and {written.get(new, new)} are the same key; remove {old}"):
            written[new] = old
    parameters = changed.get("space")
    if isinstance(parameters, dict):
        changed["space"] = {name: _with_other_key(one, spellings) for name, one in parameters.items()}
    return changed


def _move(content: dict[str, Any], old: str, new: str, conflict: str) -> bool:
    """Move a value to its other key; SpaceError with the `conflict` if that has one. Return whether there was one."""
    section, _, key = old.partition(".")
    other, _, current = new.partition(".")
    values = content.get(section)
    if not isinstance(values, dict) or key not in values:
        return False
    target = content.setdefault(other, {})
    if not isinstance(target, dict):
        return False
    if current in target:
        raise SpaceError(conflict)
    target[current] = values.pop(key)
    return True


def _with_other_key(parameter: Any, spellings: Mapping[str, str]) -> Any:
    key = parameter.get("key") if isinstance(parameter, dict) else None
    return {**parameter, "key": spellings[key]} if isinstance(key, str) and key in spellings else parameter
