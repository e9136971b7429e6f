"""Define the command `sweep migrate`."""

import argparse
from pathlib import Path

from sweep.cli.arguments import add_overrides, add_storage, storage_options
from sweep.cli.say import say

NAME = "migrate"
SUMMARY = "Fork a study into a new one with another space, with the trials that are still valid."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the study, the new space and the new name."""
    command.add_argument("source", metavar="STUDY", help="Name of the study to fork; it stays as it is.")
    command.add_argument("space", type=Path, metavar="SPACE", help="Path of the new space file (.toml).")
    add_overrides(command)
    command.add_argument("--study", metavar="NAME", help="Name of the new study. Default: the space file's.")
    command.add_argument("--dry-run", action="store_true", help="Only print what would be done.")
    add_storage(command)


def run(arguments: argparse.Namespace) -> None:
    """Print the difference of the spaces, create the new study, and print what it has taken over."""
    from sweep.api.reading import url_of
    from sweep.api.spaces import open_space
    from sweep.tuning.migrating import migrate

    space = open_space(arguments.space, arguments.overrides)
    name = arguments.study or space.study.name
    url = url_of(storage_options(arguments))
    migrate(url, arguments.source, space, name, say, dry_run=arguments.dry_run)
    if not arguments.dry_run:
        print(f"study {name} is ready; `sweep run {arguments.space} --study {name}` continues it")
