"""All keys of space files and config files, as text and as Markdown."""

from collections.abc import Iterator

from sweep.config.model import OF_BUILDERS
from sweep.config.reference import KeyInfo, SectionInfo, config_sections, find_sections, section_of
from sweep.errors import InputError
from sweep.space.parameters import KINDS
from sweep.space.space import StudySection


def own_sections() -> list[SectionInfo]:
    """Return every section of a space file whose keys sweep defines."""
    study = section_of("study", StudySection, "study")
    varied = [section_of(f"space.{name}", kind, "space.NAME") for name, kind in KINDS.items()]
    return [study, *config_sections(), *varied]


def all_sections() -> list[SectionInfo]:
    """Return every section, also those of samplers and pruners, for which Optuna is imported."""
    from sweep.tuning.choice_reference import choice_sections

    return [*own_sections(), *choice_sections()]


def reference_text(wanted: str | None = None) -> str:
    """Return the keys for a terminal.

    Args:
        wanted: A section, model family, key or value; None for all.

    Raises:
        InputError: There is no such section, key or value.
    """
    return "\n\n".join("\n".join(_text(section)) for section in _found(wanted))


def reference_markdown(wanted: str | None = None) -> str:
    """Return the keys as a heading and a table for each section.

    Args:
        wanted: A section, model family, key or value; None for all.

    Raises:
        InputError: There is no such section, key or value.
    """
    return "\n\n".join("\n".join(_markdown(section)) for section in _found(wanted))


def _found(wanted: str | None) -> list[SectionInfo]:
    if wanted is None:
        return all_sections()
    try:
        return find_sections(wanted, own_sections())
    except InputError:
        return find_sections(wanted, all_sections())


def _heading(section: SectionInfo) -> str:
    """Return what a file contains to have these keys, such as `[training]` or `[sampler] name = "tpe"`."""
    table, _, value = section.name.partition(".")
    if not value:
        return f"[{table}]"
    if value == OF_BUILDERS:
        return f'[{table}] builder = "module:function"'
    key = {"model": "family", "space": "type"}.get(table, "name")
    return f'[{"space.NAME" if table == "space" else table}] {key} = "{value}"'


def _text(section: SectionInfo) -> Iterator[str]:
    yield f"{_heading(section)}  {section.summary}"
    for key in section.keys:
        yield f"  {key.key}  ({'; '.join(_facts(key))})"
        yield f"      {key.meaning}"


def _facts(key: KeyInfo) -> Iterator[str]:
    yield " ".join(filter(None, (key.type, key.allowed)))
    yield f"default {key.default}" if key.default else "required"
    if key.spellings:
        yield f"also accepted: {', '.join(key.spellings)}"


def _markdown(section: SectionInfo) -> Iterator[str]:
    yield f"## `{_heading(section)}`\n\n{section.summary}"
    if section.keys:
        yield "\n| key | type | default | allowed | meaning | also accepted |\n|---|---|---|---|---|---|"
    for key in section.keys:
        spellings = ", ".join(map(_code, key.spellings))
        cells = (_code(key.key), key.type, key.default or "required", _code(key.allowed), key.meaning, spellings)
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
