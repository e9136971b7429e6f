"""Describe every key of a space file and of a config file, from the classes that check them."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sweep.config.families import config_class
from sweep.config.model import FAMILIES, OF_BUILDERS
from sweep.config.old_keys import other_spellings
from sweep.config.trial import TrialConfig
from sweep.errors import InputError
from sweep.spelling import did_you_mean

TYPES = {int: "integer", float: "float", bool: "boolean", str: "string", dict: "table", tuple: "list"}
SIGNS = {Ge: (">=", "ge"), Gt: (">", "gt"), Le: ("<=", "le"), Lt: ("<", "lt")}
LARGE = 2**31 - 1  # bounds from here on only keep a number storable


@dataclass(frozen=True)
class KeyInfo:
    """What a user may write for one key.

    Attributes:
        key: `section.key`.
        type: Its kind of value, such as `integer`.
        allowed: Which values of this type, such as `>= 1` or `"valid", "same"`; "" for all.
        default: As TOML writes it; "none" if the key has no value, "" if it must be given.
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


def sections(study: type[BaseModel]) -> list[SectionInfo]:
    """Return every section.

    Args:
        study: The class of `[study]`.
    """
    parts: list[tuple[str, type[BaseModel]]] = [("study", study)]
    for name, field in TrialConfig.model_fields.items():
        if name == "model":
            parts += [(f"model.{family}", config_class(family)) for family in (*FAMILIES.built_in, OF_BUILDERS)]
        else:
            parts.append((name, field.annotation))  # type: ignore[arg-type]
    return [_section(name, kind) for name, kind in parts]


def find_sections(wanted: str | None, study: type[BaseModel]) -> list[SectionInfo]:
    """Return the sections that a name stands for.

    Args:
        wanted: A section (`training`), a family (`cnn` or `model.cnn`) or a key (`training.epochs`); None for all.
        study: The class of `[study]`.

    Raises:
        InputError: There is no such section, family or key.
    """
    every = sections(study)
    if wanted is None:
        return every
    found = [one for one in every if wanted in (one.name, *one.name.split("."))]
    if found:
        return found
    wanted = other_spellings().get(wanted, wanted)
    alone = [SectionInfo(one.name, one.summary, tuple(key for key in one.keys if key.key == wanted)) for one in every]
    found = [one for one in alone if one.keys]
    if not found:
        known = [*(one.name for one in every), *(key.key for one in every for key in one.keys)]
        names = ", ".join(one.name for one in every)
        raise InputError(f"{wanted} is not a section or key{did_you_mean(wanted, known) or f'; sections are {names}'}")
    return found


def _section(name: str, kind: type[BaseModel]) -> SectionInfo:
    start = "model" if name.startswith("model.") else name
    hidden = {"family"} if name == f"model.{OF_BUILDERS}" else set()
    keys = [_key(f"{start}.{key}", field) for key, field in kind.model_fields.items() if key not in hidden]
    return SectionInfo(name, (kind.__doc__ or "").strip().split("\n\n")[0].replace("\n", " "), tuple(keys))


def _key(key: str, field: FieldInfo) -> KeyInfo:
    kind, allowed = _described(field.annotation, field.metadata)
    spellings = tuple(old for old, new in other_spellings().items() if new == key)
    return KeyInfo(key, kind, allowed, _default(field), field.description or "", spellings)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    return _toml(field.get_default(call_default_factory=True))


def _toml(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
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
        return _joined(TYPES[type(value)] for value in values), ", ".join(map(_toml, values))
    if origin is tuple:
        kind, allowed = _described(get_args(annotation)[0], [])
        return f"list of {kind}s", f"each {allowed}" if allowed else ""
    return TYPES.get(origin or annotation, str(annotation)), ", ".join(_bounds(metadata))


def _joined(kinds: Any) -> str:
    return " or ".join(dict.fromkeys(kinds))


def _bounds(metadata: list[Any]) -> Iterator[str]:
    for one in metadata:
        for constraint in getattr(one, "metadata", [one]):  # pydantic's Field holds those of annotated-types
            sign, name = SIGNS.get(type(constraint), ("", ""))
            if sign and abs(getattr(constraint, name)) < LARGE:
                yield f"{sign} {getattr(constraint, name)}"
