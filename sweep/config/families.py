"""Model families by their names: the config class of `[model]`, its keys, and where a user's own family is found."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, get_origin

from sweep.config.model import DEFAULT_FAMILY, FAMILIES, OF_BUILDERS, ModelConfig
from sweep.config.section import NO_VALUE
from sweep.errors import SpaceError
from sweep.plugins.user_code import UserCode, make_importable

BUILDERS = "sweep.models.builder:FAMILY"


def get_family(name: str) -> Any:
    """The `sweep.models.family.Family` of this name.

    Raises:
        SpaceError: There is none, or what the name stands for is none. The message begins with `model.family`.
    """
    found = resolve_name(BUILDERS) if name == OF_BUILDERS else FAMILIES.get(name)
    config = getattr(found, "config", None)
    if not (isinstance(config, type) and issubclass(config, ModelConfig)):
        raise SpaceError(f"model.family: {name} is a {type(found).__name__}; make it a sweep.models.family.Family")
    return found


def config_class(name: str) -> type[ModelConfig]:
    """The config of a family's networks; SpaceError as `get_family`."""
    found: type[ModelConfig] = get_family(name).config
    return found


def model_config(values: Any) -> Any:
    """Values of `[model]` as the config of their family.

    Raises:
        ValueError: A key belongs to another family, or a value is wrong (pydantic's ValidationError).
        SpaceError: There is no such family.
    """
    if not isinstance(values, dict):
        return values  # a config already, or what pydantic will refuse
    name = family_name(values)
    kind, own = config_class(name), family_keys(name)
    strange = [key for key in sorted(values) if key not in own and not _is_kept_out(key, values[key], name)]
    return kind.model_validate({key: value for key, value in values.items() if key in own or key in strange})


def family_keys(name: str) -> set[str]:
    """The keys of a family's `[model]`."""
    return set(config_class(name).model_fields) - ({"family"} if name == OF_BUILDERS else set())


def family_name(values: Mapping[str, Any]) -> str:
    """The name of the family of these values of `[model]`; ValueError or SpaceError if it is none."""
    if values.get("builder") is not None:
        return OF_BUILDERS
    name = values.get("family", DEFAULT_FAMILY)
    if not isinstance(name, str):
        raise ValueError(f"family must be a name, as in {', '.join(FAMILIES.names())} (got {name!r})")
    FAMILIES.check(name)
    return name


def _is_kept_out(key: str, value: Any, name: str) -> bool:
    """Whether another family has the key, and the value turns it off; ValueError if it does not.

    False for what no family of ours has.
    """
    owner = next((one for one in _ours() if key in config_class(one).model_fields), None)
    if owner is None:
        return False
    if value in NO_VALUE and config_class(owner).may_be_off(key, value):
        return True
    if name == OF_BUILDERS:
        raise ValueError(f"{key} has no effect with a builder; move it to [model.options]")
    if owner == OF_BUILDERS and not value:
        return True
    if owner == OF_BUILDERS:
        raise ValueError('options are passed to a builder; add builder = "my_models:build" or remove them')
    raise ValueError(f'{key} belongs to family = "{owner}", not {name}; remove it')


def _ours() -> list[str]:
    return [*FAMILIES.built_in, OF_BUILDERS]


def model_keys(families: Iterable[str] = ()) -> dict[str, bool]:
    """The keys of families of ours, and of those that are named; whether each is a list, with an item for each layer.

    Raises:
        SpaceError: There is no such family.
    """
    kinds = [config_class(name) for name in dict.fromkeys([*_ours(), *families])]
    fields = [(key, field) for kind in kinds for key, field in kind.model_fields.items()]
    return {key: get_origin(field.annotation) is tuple for key, field in fields}


def old_model_keys(families: Iterable[str] = ()) -> dict[str, str]:
    """Return earlier spellings of the keys of our families and of those that are named, with the current ones.

    Raises:
        SpaceError: There is no such family.
    """
    kinds = [config_class(name) for name in dict.fromkeys([*_ours(), *families])]
    return {old: new for kind in kinds for old, new in kind.old_keys.items()}


def named_families(content: Mapping[str, Any]) -> tuple[str, ...]:
    """The families that the content of a config or space file names, fixed or as choices; it need not be sound."""
    model, parameters = content.get("model"), content.get("space")
    named = [model.get("family")] if isinstance(model, dict) else []
    for parameter in parameters.values() if isinstance(parameters, dict) else ():
        if isinstance(parameter, dict) and parameter.get("key") == "model.family":
            choices = parameter.get("choices")
            named += choices if isinstance(choices, list) else []
    return tuple(dict.fromkeys(name for name in named if isinstance(name, str)))


def make_families_importable(
    content: Mapping[str, Any], overrides: Iterable[str], *folders: Path, recorded: UserCode | None = None
) -> None:
    """Have the user's own families found that a file's content or an override names.

    Args:
        content: Of a config or space file.
        overrides: `section.key=value`.
        folders: Of the user's own; of two, the last one is looked in first.
        recorded: The code that was found before, if there is a record.
    """
    given = [text.partition("=") for text in overrides]
    named = [*named_families(content), *(value for key, _, value in given if key.strip() == "model.family")]
    if any(":" in name for name in named):
        make_importable(recorded, *folders)
