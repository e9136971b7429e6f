"""`sweep export`."""

import argparse
from pathlib import Path

from sweep.cli.arguments import add_storage, at_least_one, storage_options
from sweep.cli.say import say, warn

NAME = "export"
SUMMARY = "write trials as config files, with where they came from"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Which trials, and the folder."""
    command.add_argument("study", metavar="STUDY")
    chosen = command.add_mutually_exclusive_group()
    chosen.add_argument("--top", type=at_least_one, default=3, metavar="K", help="the best K COMPLETE trials (3)")
    chosen.add_argument(
        "--trial", type=int, action="append", default=[], metavar="N", help="this trial; may be repeated"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="folder (DIR/STUDY/configs)")
    add_storage(command)


def run(arguments: argparse.Namespace) -> None:
    """Config files of trials, the best ones or those named."""
    from sweep.api.reading import read_stored
    from sweep.config.study_name import study_folder
    from sweep.results.export import export_trials

    stored = read_stored(arguments.study, storage_options(arguments), warn)
    if stored.family_code is not None:
        say(f"this runs your code: {stored.family_code}")
    folder = arguments.out or study_folder(arguments.studies, arguments.study) / "configs"
    for path in export_trials(stored, arguments.trial, arguments.top, folder):
        print(path)
