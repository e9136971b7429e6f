"""`sweep copy`."""

import argparse

from sweep.cli.arguments import add_studies

NAME = "copy"
SUMMARY = "copy a study between SQLite and PostgreSQL, and compare it"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """From where, to where."""
    command.add_argument("study", metavar="STUDY")
    add_studies(command)
    command.add_argument("--from", dest="source", metavar="URL", help="(DIR/sweep.db, or SWEEP_STORAGE)")
    command.add_argument("--to", dest="target", metavar="URL", help="(DIR/sweep.db, or SWEEP_STORAGE)")


def run(arguments: argparse.Namespace) -> None:
    """A study into another database."""
    from sweep.storage import backend_of, copy_study, database_url

    source = database_url(arguments.studies, arguments.source, "--from")
    target = database_url(arguments.studies, arguments.target, "--to")
    counts = copy_study(arguments.study, source, target)
    shown = ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in counts.items() if count)
    print(f"study {arguments.study}: {backend_of(source).name} -> {backend_of(target).name}: {shown}; compared, equal")
