"""`sweep list`."""

import argparse

from sweep.cli.arguments import add_storage, storage_options
from sweep.errors import StudyError

NAME = "list"
SUMMARY = "list the studies"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Where they are, and how they are printed."""
    add_storage(command)
    command.add_argument("--json", action="store_true")


def run(arguments: argparse.Namespace) -> None:
    """A line for each study; those that are damaged are an error after it."""
    from sweep.api.reading import url_of
    from sweep.cli.tables import print_studies
    from sweep.storage import list_studies

    damaged: dict[str, StudyError] = {}
    studies = list_studies(url_of(storage_options(arguments)), damaged)
    print_studies(studies, as_json=arguments.json)
    if damaged:
        raise StudyError("; ".join(map(str, damaged.values())))
