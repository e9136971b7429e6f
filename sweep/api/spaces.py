"""A space from a file or from Python, with the user's code that it names within reach."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.plugins.users_code import look_in
from sweep.space.file import load_space as read_space
from sweep.space.file import parse_choice
from sweep.space.space import Space


def open_space(
    space: str | Path | Space,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    sampler: str | None = None,
    pruner: str | None = None,
) -> Space:
    """The space of a file, checked; a user's code that it names is found beside the file or in the working directory.

    Args:
        space: A space file; a `Space` is taken as it is.
        overrides: `"section.key=value"` each, or a mapping from keys to values, instead of what the file says.
        sampler: Instead of the file's, as in `"tpe:multivariate=true"`.
        pruner: Instead of the file's, as in `"percentile:percentile=25"`.

    Raises:
        SpaceError: The file or an override is wrong; the message names key and fix.
    """
    path = None if isinstance(space, Space) else Path(space)
    found = space if isinstance(space, Space) else read_space(Path(space), _texts(overrides))
    if found.users_code:
        look_in(*([path.resolve().parent] if path is not None else []), Path.cwd())
    if sampler is not None and sampler != found.sampler.name:  # else its options stay those of the file
        found = replace(found, sampler=parse_choice(sampler, "--sampler"))
    if pruner is not None and pruner != found.pruner.name:
        found = replace(found, pruner=parse_choice(pruner, "--pruner"))
    return found


def load_space(path: str | Path, overrides: Iterable[str] | Mapping[str, Any] = ()) -> Space:
    """Read and check a space file.

    Args:
        path: The file.
        overrides: `"training.epochs=5"` each, or a mapping of such keys, instead of what the file says.

    Raises:
        SpaceError: The file is wrong; the message names key and fix.
    """
    return open_space(path, overrides)


def _texts(overrides: Iterable[str] | Mapping[str, Any]) -> list[str]:
    """As the command line has them."""
    if not isinstance(overrides, Mapping):
        return [overrides] if isinstance(overrides, str) else [*overrides]
    return [f"{key}={_as_text(value)}" for key, value in overrides.items()]


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
