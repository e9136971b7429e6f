"""Define the command `sweep list`."""

import argparse

from sweep.cli.arguments import add_storage, storage_options
from sweep.errors import StudyError

NAME = "list"
SUMMARY = "List the studies."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the storage and the output format."""
    add_storage(command)
    command.add_argument("--json", action="store_true", help="Print JSON.")


def run(arguments: argparse.Namespace) -> None:
    """Print a line for each study, then raise StudyError if some could not be read."""
    from sweep.api.reading import url_of
    from sweep.cli.tables import print_studies
    from sweep.storage import list_studies

    damaged: dict[str, StudyError] = {}
    studies = list_studies(url_of(storage_options(arguments)), damaged)
    print_studies(studies, as_json=arguments.json)
    if damaged:
        raise StudyError("; ".join(map(str, damaged.values())))
