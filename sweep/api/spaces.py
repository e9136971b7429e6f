"""Load spaces, and make user code that they refer to importable."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweep.errors import InputError, SpaceError
from sweep.plugins.registry import CUSTOM_NAME
from sweep.plugins.user_code import prepend_to_path
from sweep.space.file import load_space as read_space
from sweep.space.file import parse_choice, parse_pruner
from sweep.space.space import Space


def open_space(
    space: str | Path | Space,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    sampler: str | None = None,
    pruner: str | None = None,
) -> Space:
    """Load and check a space; user code is imported from the file's folder or from the working directory.

    Args:
        space: Path of a space file, or a `Space`.
        overrides: Fixed values that replace the file's: texts such as `"training.epochs=5"`, or a mapping from keys to
            values.
        sampler: Optuna sampler that replaces the file's, as in `"tpe:multivariate=true"`.
        pruner: Optuna pruner that replaces the file's, as in `"percentile:percentile=25"`.

    Returns:
        The space.

    Raises:
        SpaceError: The file or an override is invalid. The message contains the key and a fix.
    """
    path = None if isinstance(space, Space) else Path(space)
    _check_is_text(sampler, "sampler", "tpe:multivariate=true")
    _check_is_text(pruner, "pruner", "percentile:percentile=25")
    texts = _texts(overrides)
    found = space.with_overrides(texts) if isinstance(space, Space) else read_space(Path(space), texts)
    if sampler is not None and sampler != found.sampler.name:  # the same name keeps the options of the file
        found = replace(found, sampler=parse_choice(sampler, "--sampler"))
    if pruner is not None and pruner != found.pruner.name:
        found = replace(found, pruner=parse_pruner(pruner))
    if found.user_code or ":" in found.sampler.name + found.pruner.name:  # module:Class
        prepend_to_path(*([path.resolve().parent] if path is not None else []), Path.cwd())
    return found


def open_objective(
    name: str,
    directions: Sequence[str] = (),
    overrides: Iterable[str] = (),
    sampler: str | None = None,
    pruner: str | None = None,
) -> Space:
    """Return the space of a plain Optuna objective, which defines its parameters while it runs.

    Args:
        name: `FILE.py:FUNCTION`, or `module:function`.
        directions: The direction of each objective. Default: minimize.
        overrides: Values of `[study]`, `[sampler]` and `[pruner]`, as in `study.num_trials=50`.
        sampler: Optuna sampler.
        pruner: Optuna pruner.

    Raises:
        SpaceError: The name or another value is invalid.
    """
    file, _, function = name.partition(":")
    path = Path(file)
    module = path.stem if path.suffix == ".py" else file
    if path.suffix == ".py" and not path.is_file():
        raise SpaceError(f"--objective {name}: there is no file {file}; pass FILE.py:FUNCTION or module:function")
    if not CUSTOM_NAME.fullmatch(f"{module}:{function}"):
        raise SpaceError(f"--objective {name}: pass FILE.py:FUNCTION or module:function")
    study: dict[str, Any] = {"name": f"{module.rpartition('.')[2]}-{function}", "function": f"{module}:{function}"}
    study |= {"direction": directions[0]} if len(directions) == 1 else {}
    study |= {"directions": [*directions]} if len(directions) > 1 else {}
    prepend_to_path(path.resolve().parent if path.suffix == ".py" else Path.cwd())
    return open_space(Space.from_sections(study=study), overrides, sampler, pruner)


def _check_is_text(value: Any, name: str, example: str) -> None:
    if value is not None and not isinstance(value, str):
        raise InputError(f"{name} must be a name, such as {example!r} or 'my_module:MyClass', got {value!r:.100}")


def load_space(path: str | Path, overrides: Iterable[str] | Mapping[str, Any] = ()) -> Space:
    """Read and check a space file.

    Args:
        path: Path of the file.
        overrides: Fixed values that replace the file's: texts such as `"training.epochs=5"`, or a mapping from keys to
            values.

    Returns:
        The space.

    Raises:
        SpaceError: The file or an override is invalid. The message contains the key and a fix.
    """
    return open_space(path, overrides)


def _texts(overrides: Iterable[str] | Mapping[str, Any]) -> list[str]:
    """Return the overrides as texts, as the command line passes them."""
    if not isinstance(overrides, Mapping):
        return [overrides] if isinstance(overrides, str) else [*overrides]
    return [f"{key}={_as_text(value)}" for key, value in overrides.items()]


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)
