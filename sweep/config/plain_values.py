"""TOML files as plain values, checked so that whatever is made of them can be stored as JSON and printed."""

import math
import re
import tomllib
from pathlib import Path
from typing import Any

from sweep.errors import SpaceError

# what a terminal obeys, and what turns its writing round
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
MAX_BYTES = 2**20  # of a file
MAX_DEPTH = 16  # of tables and lists in each other
MAX_SHOWN = 200  # characters of a wrong value in a message
PYTHON_WORDS = {"True": "true", "False": "false", "None": '"none"'}  # and TOML's


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file into plain values; SpaceError naming it if it is missing, malformed, or no such data."""
    try:
        if path.exists() and not path.is_file():
            raise SpaceError(f"{path}: is not a file; pass a .toml file")  # a pipe or a device may never end
        if path.stat().st_size > MAX_BYTES:
            raise SpaceError(f"{path}: is larger than {MAX_BYTES // 2**20} MB; space files and configs are smaller")
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SpaceError(f"{path}: no such file; `sweep init DIR` copies the shipped ones") from None
    except RecursionError:
        raise SpaceError(f"{path}: tables and lists are nested too deep") from None
    except tomllib.TOMLDecodeError as error:
        raise SpaceError(f"{path}: not readable as TOML: {error}{_toml_hint(path, error)}") from None
    except (OSError, ValueError) as error:  # not UTF-8, a number of thousands of digits
        raise SpaceError(f"{path}: not readable as TOML: {error}") from None
    if not any(content.values()):
        raise SpaceError(f"{path}: is empty; write at least one value, or export or copy it again")
    check_plain(content, str(path))
    return content


def _toml_hint(path: Path, error: tomllib.TOMLDecodeError) -> str:
    """What to write instead, where the line holds one of Python's words."""
    at = re.search(r"at line (\d+)", str(error))
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    line = lines[int(at[1]) - 1] if at is not None and int(at[1]) <= len(lines) else ""
    for word, instead in PYTHON_WORDS.items():
        if re.search(rf"[=,\[]\s*{word}\b", line):
            return f"; write {instead} instead of {word} in {line.strip()[:MAX_SHOWN]!r}"
    return ""


def check_plain(content: Any, source: str) -> None:
    """SpaceError unless all values are text, finite numbers of 64 bits, booleans, lists and tables of them.

    So whatever is made of them can be stored as JSON and printed on a terminal.
    """
    level = [("", content)]
    for _ in range(MAX_DEPTH):
        for key, value in level:
            problem = _not_plain(value)
            if problem:
                raise SpaceError(f"{source}: {key or 'value'}: {short_repr(value)} {problem}")
        level = [item for key, value in level for item in _inside(key, value)]
        if not level:
            return
    raise SpaceError(f"{source}: tables and lists are nested deeper than {MAX_DEPTH}")


def _inside(key: str, value: Any) -> list[tuple[str, Any]]:
    """What a table (its names too) or a list holds, with the dotted key to it."""
    if isinstance(value, list):
        return [(key, item) for item in value]
    if not isinstance(value, dict):
        return []
    start = f"{key}." if key else ""
    return [*((key or "names", name) for name in value), *((f"{start}{name}", value[name]) for name in value)]


def _not_plain(value: Any) -> str:
    """What is wrong with it, else nothing."""
    if isinstance(value, str):
        return "contains control characters; remove them" if CONTROL.search(value) else ""
    if isinstance(value, int):
        return "" if -(2**63) <= value < 2**63 else "has more than 64 bits; write a smaller number"
    if isinstance(value, float):
        return "" if math.isfinite(value) else "is not finite; write a number"
    return "" if isinstance(value, dict | list) else "is a date; write it as text"


def short_repr(value: Any) -> str:
    """A value for a message of one line: as Python writes it, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # thousands of digits
        text = "a huge number"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def resolve_path(path: str, folder: Path, source: str) -> str:
    """`data.path` as an absolute one, taken from the folder; SpaceError if no path can be so."""
    try:
        resolved = (folder / Path(path).expanduser()).resolve()
        resolved.exists()
        str(resolved).encode()
    except (OSError, RuntimeError, ValueError) as error:  # NUL, too long, no text, an unknown ~user, a loop of links
        reason = getattr(error, "strerror", None) or error
        raise SpaceError(f"{source}: data.path: {short_repr(path)} is not a valid path: {reason}") from None
    return str(resolved)
