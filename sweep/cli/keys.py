"""Define the command `sweep keys`."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sweep.config.reference import KeyInfo, SectionInfo

NAME = "keys"
SUMMARY = "Show the keys of space files and config files: type, allowed values, default, meaning."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the section and the output format."""
    command.add_argument(
        "section",
        metavar="SECTION",
        nargs="?",
        help="A section, model family or key, such as training, cnn or schedule.name. Default: all.",
    )
    command.add_argument("--markdown", action="store_true", help="Print Markdown tables.")


def run(arguments: argparse.Namespace) -> None:
    """Print the keys.

    Raises:
        InputError: There is no such section or key.
    """
    from sweep.config.reference import find_sections
    from sweep.space.space import StudySection

    lines = _markdown if arguments.markdown else _plain
    found = find_sections(arguments.section, StudySection)
    print("\n\n".join("\n".join(lines(section)) for section in found))


def _plain(section: "SectionInfo") -> Iterator[str]:
    yield f"[{section.name}]  {section.summary}"
    for key in section.keys:
        yield f"  {key.key}  ({'; '.join(_facts(key))})"
        yield f"      {key.meaning}"


def _facts(key: "KeyInfo") -> Iterator[str]:
    yield " ".join(filter(None, (key.type, key.allowed)))
    yield f"default {key.default}" if key.default else "required"
    if key.spellings:
        yield f"also read: {', '.join(key.spellings)}"


def _markdown(section: "SectionInfo") -> Iterator[str]:
    yield f"## {section.name}\n\n{section.summary}\n"
    yield "| key | type | allowed | default | meaning | also read |\n|---|---|---|---|---|---|"
    for key in section.keys:
        cells = (
            f"`{key.key}`",
            key.type,
            _code(key.allowed),
            _code(key.default),
            key.meaning,
            ", ".join(key.spellings),
        )
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
