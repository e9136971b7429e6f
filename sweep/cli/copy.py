"""Define the command `sweep copy`."""

import argparse

from sweep.cli.arguments import add_studies

NAME = "copy"
SUMMARY = "Copy a study between SQLite and PostgreSQL databases and verify the copy."
DEFAULT = "Default: SWEEP_STORAGE if set, else DIR/sweep.db."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the study and the two databases."""
    command.add_argument("study", metavar="STUDY", help="Name of the study.")
    add_studies(command)
    command.add_argument("--from", dest="source", metavar="URL", help=f"Database to copy from. {DEFAULT}")
    command.add_argument("--to", dest="target", metavar="URL", help=f"Database to copy to. {DEFAULT}")


def run(arguments: argparse.Namespace) -> None:
    """Copy a study into another database and print the number of rows copied."""
    from sweep.storage import backend_of, copy_study, database_url

    source = database_url(arguments.studies, arguments.source, "--from")
    target = database_url(arguments.studies, arguments.target, "--to")
    counts = copy_study(arguments.study, source, target)
    shown = ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in counts.items() if count)
    print(f"study {arguments.study}: {backend_of(source).name} -> {backend_of(target).name}: {shown}; verified")
