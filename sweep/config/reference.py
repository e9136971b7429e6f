"""Describe the keys of config files, and of any other section, from the classes that check them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sweep.config.families import config_class
from sweep.config.model import DEFAULT_FAMILY, FAMILIES, OF_BUILDERS
from sweep.config.old_keys import other_spellings
from sweep.config.trial import TrialConfig
from sweep.errors import InputError
from sweep.plugins.registry import Registry
from sweep.spelling import did_you_mean

TYPES = {int: "integer", float: "float", bool: "boolean", str: "string", dict: "table"}
SIGNS = {Ge: (">=", "ge"), Gt: (">", "gt"), Le: ("<=", "le"), Lt: ("<", "lt")}
LARGE = 2**31 - 1  # bounds from here on only keep a number storable
DEFAULT = " Default: "  # ends the meaning of a key without a value, and says what that stands for


@dataclass(frozen=True)
class KeyInfo:
    """What a user may write for one key.

    Attributes:
        key: `section.key`.
        type: Its kind of value, such as `integer`.
        allowed: Which values of this type, such as `>= 1` or `"valid", "same"`; "" for all.
        default: As TOML writes it, or what stands for it where the key has no value; "" if it must be given.
        meaning: A sentence.
        spellings: Other spellings that are read too.
    """

    key: str
    type: str
    allowed: str
    default: str
    meaning: str
    spellings: tuple[str, ...]


@dataclass(frozen=True)
class SectionInfo:
    """The keys of a section, or of a model family's `[model]`.

    Attributes:
        name: Such as `training`, or `model.cnn` for the keys of a family.
        summary: The first sentence on it.
        keys: Its keys, in the order of the class.
    """

    name: str
    summary: str
    keys: tuple[KeyInfo, ...]


def config_sections() -> list[SectionInfo]:
    """Return the sections of a config file; of `[model]` one for each of our families."""
    parts: list[tuple[str, type[BaseModel]]] = []
    for name, field in TrialConfig.model_fields.items():
        if name == "model":
            parts += [(f"model.{family}", config_class(family)) for family in (*FAMILIES.built_in, OF_BUILDERS)]
        else:
            parts.append((name, field.annotation))  # type: ignore[arg-type]
    return [section_of(name, kind, "model" if name.startswith("model.") else name) for name, kind in parts]


def section_of(name: str, kind: type[BaseModel], start: str) -> SectionInfo:
    """Return what the fields of a class say.

    Args:
        name: Of the section.
        kind: The class that checks it; its fields have docstrings.
        start: What precedes the names of its keys.
    """
    hidden = {"family"} if name == f"model.{OF_BUILDERS}" else set()
    keys = [_key(f"{start}.{key}", field) for key, field in kind.model_fields.items() if key not in hidden]
    return SectionInfo(name, (kind.__doc__ or "").strip().split("\n\n")[0].replace("\n", " "), tuple(keys))


def find_sections(wanted: str, every: Sequence[SectionInfo]) -> list[SectionInfo]:
    """Return the sections that a name stands for, or those of their keys.

    Args:
        wanted: A section (`training`), a family (`cnn` or `model.cnn`), a key (`training.epochs`) or a value that is
            allowed for some key (`cosine`).
        every: All sections.

    Raises:
        InputError: There is no such section, key or value.
    """
    found = [one for one in every if wanted in (one.name, *one.name.split("."))]
    if found:
        return found
    current = other_spellings().get(wanted, wanted)
    found = _with_keys(every, lambda key: key.key == current) or _with_keys(every, lambda key: _is_about(key, wanted))
    if not found:
        names = dict.fromkeys(one.name.partition(".")[0] for one in every)
        known = [*names, *(one.name for one in every), *(key.key for one in every for key in one.keys)]
        meant = did_you_mean(wanted, known, other_spellings()) or f"; sections are {', '.join(names)}"
        raise InputError(f"{wanted} is not a section or key{meant}")
    return found


def _with_keys(every: Sequence[SectionInfo], is_wanted: Callable[[KeyInfo], bool]) -> list[SectionInfo]:
    """Return the sections that have such keys, with these alone."""
    alone = [replace(one, keys=tuple(filter(is_wanted, one.keys))) for one in every]
    return [one for one in alone if one.keys]


def _is_about(key: KeyInfo, value: str) -> bool:
    return f'"{value}"' in key.allowed or f"`{value}`" in key.meaning


def _key(key: str, field: FieldInfo) -> KeyInfo:
    kind, allowed = _described(field.annotation, field.metadata)
    spellings = tuple(old for old, new in other_spellings().items() if new == key)
    meaning, _, default = (field.description or "").partition(DEFAULT)
    return KeyInfo(key, kind, allowed, default.removesuffix(".") or _default(key, field), meaning, spellings)


def _default(key: str, field: FieldInfo) -> str:
    is_other_family = key == "model.family" and field.default != DEFAULT_FAMILY
    return "" if field.is_required() or is_other_family else as_toml(field.get_default(call_default_factory=True))


def as_toml(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return "none" if value is None else str(value)


def _described(annotation: Any, metadata: list[Any]) -> tuple[str, str]:
    """Return type and allowed values of an annotation."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *extra = get_args(annotation)
        return _described(inner, [*extra, *metadata])
    if origin in (Union, UnionType):
        parts = [_described(one, metadata) for one in get_args(annotation) if one is not NoneType]
        return _joined(kind for kind, _ in parts), ", ".join(dict.fromkeys(text for _, text in parts if text))
    if origin is Literal:
        values = get_args(annotation)
        return _joined(TYPES[type(value)] for value in values), ", ".join(map(as_toml, values))
    if origin in (tuple, list):
        kind, allowed = _described(get_args(annotation)[0], [])
        if " or " in kind:  # whatever TOML has
            return "list", ""
        return f"list of {kind}s", f"each {allowed}" if allowed else ""
    return TYPES.get(origin or annotation, str(annotation)), ", ".join(_limits(metadata))


def _joined(kinds: Any) -> str:
    return " or ".join(dict.fromkeys(kinds))


def _limits(metadata: list[Any]) -> Iterator[str]:
    for one in metadata:
        if isinstance(one, Registry):
            yield f"{', '.join(map(as_toml, one.names()))}, module:attribute"
        for constraint in getattr(one, "metadata", [one]):  # pydantic's Field holds those of annotated-types
            sign, name = SIGNS.get(type(constraint), ("", ""))
            if sign and abs(getattr(constraint, name)) < LARGE:
                yield f"{sign} {getattr(constraint, name)}"
