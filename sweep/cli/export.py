"""Define the command `sweep export`."""

import argparse
from pathlib import Path

from sweep.cli.arguments import add_storage, positive_int, storage_options
from sweep.cli.say import say, warn

NAME = "export"
SUMMARY = "Write trials as config files that record their provenance."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the study, its trials and the output folder."""
    command.add_argument("study", metavar="STUDY", help="Name of the study.")
    chosen = command.add_mutually_exclusive_group()
    chosen.add_argument(
        "--top", type=positive_int, default=3, metavar="K", help="Number of best COMPLETE trials. Default: 3."
    )
    chosen.add_argument(
        "--trial",
        type=int,
        action="append",
        default=[],
        metavar="N",
        help="Number of a trial to export. Can be repeated.",
    )
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="Output folder. Default: DIR/STUDY/configs, with DIR from --studies."
    )
    add_storage(command)


def run(arguments: argparse.Namespace) -> None:
    """Write config files of the best trials, or of the trials given by number."""
    from sweep.api.reading import read_stored
    from sweep.config.study_name import study_folder
    from sweep.results.export import export_trials

    stored = read_stored(arguments.study, storage_options(arguments), warn)
    if stored.family_code is not None:
        say(f"this runs your code: {stored.family_code}")
    folder = arguments.out or study_folder(arguments.studies, arguments.study) / "configs"
    for path in export_trials(stored, arguments.trial, arguments.top, folder):
        print(path)
