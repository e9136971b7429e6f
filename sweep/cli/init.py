"""Define the command `sweep init`."""

import argparse
from importlib import resources
from pathlib import Path

from sweep.errors import InputError

NAME = "init"
SUMMARY = "Copy the space files that come with sweep into a folder."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the folder."""
    command.add_argument("folder", type=Path, metavar="FOLDER", help="Folder to copy into.")


def run(arguments: argparse.Namespace) -> None:
    """Copy the bundled space files; raise InputError instead of overwriting a file that differs."""
    from sweep.system.files import write_bytes

    root = Path(str(resources.files("sweep") / "search_spaces"))
    targets = [(source, arguments.folder / source.relative_to(root)) for source in sorted(root.rglob("*.toml"))]
    changed = [target for source, target in targets if target.exists() and not _is_copy(target, source)]
    if changed:
        raise InputError(f"{changed[0]} exists, so nothing was copied; choose another folder")
    for source, target in targets:
        write_bytes(target, source.read_bytes())
        print(target)


def _is_copy(path: Path, source: Path) -> bool:
    """Return whether the file is an unchanged copy, as an interrupted `init` leaves."""
    return path.is_file() and path.read_bytes() == source.read_bytes()
