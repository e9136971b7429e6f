"""`sweep init`."""

import argparse
from importlib import resources
from pathlib import Path

from sweep.errors import InputError

NAME = "init"
SUMMARY = "copy the shipped space files into a folder of yours"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The folder."""
    command.add_argument("folder", type=Path)


def run(arguments: argparse.Namespace) -> None:
    """Copy the shipped space files; a file of yours is never overwritten."""
    from sweep.system.files import write_bytes

    root = Path(str(resources.files("sweep") / "search_spaces"))
    targets = [(source, arguments.folder / source.relative_to(root)) for source in sorted(root.rglob("*.toml"))]
    yours = [target for source, target in targets if target.exists() and not _is_copy(target, source)]
    if yours:
        raise InputError(f"{yours[0]} exists; choose another folder, nothing was copied")
    for source, target in targets:
        write_bytes(target, source.read_bytes())
        print(target)


def _is_copy(path: Path, source: Path) -> bool:
    """Whether the file is what an `init` that was interrupted has copied."""
    return path.is_file() and path.read_bytes() == source.read_bytes()
