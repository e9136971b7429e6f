"""Define the command `sweep show`."""

import argparse

from sweep.cli.arguments import add_storage, storage_options
from sweep.cli.say import warn

NAME = "show"
SUMMARY = "Show a study's trials, best first, or all details of one trial."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the study, the trial and the output format."""
    command.add_argument("study", metavar="STUDY", help="Name of the study.")
    command.add_argument("trial", nargs="?", type=int, metavar="TRIAL", help="Number of a trial. Default: all trials.")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="Print all details of the trials as JSON.")
    form.add_argument("--csv", action="store_true", help="Print CSV: one row per trial, or one row per epoch of TRIAL.")
    add_storage(command)


def run(arguments: argparse.Namespace) -> None:
    """Print a study's trials, or one of them."""
    from sweep.api.reading import read_stored
    from sweep.cli.tables import print_csv, print_json, print_table
    from sweep.cli.trial_tables import find_trial, print_epochs_csv, print_trial, print_trial_json

    study = read_stored(arguments.study, storage_options(arguments), warn).study
    if arguments.trial is None:
        printer = print_json if arguments.json else print_csv if arguments.csv else print_table
        printer(study)
    else:
        trial = find_trial(study, arguments.trial)
        print_one = print_trial_json if arguments.json else print_epochs_csv if arguments.csv else print_trial
        print_one(study, trial)
