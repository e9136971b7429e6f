"""Define the command `sweep confirm`."""

import argparse

from sweep.cli.arguments import (
    add_device,
    add_engine,
    add_storage,
    add_workers,
    device_options,
    engine_options,
    positive_int,
    storage_options,
    worker_options,
)
from sweep.cli.say import say
from sweep.options import ConfirmOptions

NAME = "confirm"
SUMMARY = "Retrain the best trials with new seeds to rank them by unbiased scores."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the study, the numbers of trials and seeds, and where they are trained."""
    command.add_argument("study", metavar="STUDY", help="Name of the study.")
    command.add_argument(
        "--top", type=positive_int, default=5, metavar="K", help="Number of best COMPLETE trials. Default: 5."
    )
    command.add_argument(
        "--seeds", type=positive_int, default=10, metavar="N", help="Number of seeds for each trial. Default: 10."
    )
    command.add_argument("--again", action="store_true", help="Discard the stored scores first.")
    add_storage(command)
    add_engine(command, "runs")
    add_device(command)
    add_workers(command)
    command.add_argument("--quiet", action="store_true", help="Print no progress.")


def run(arguments: argparse.Namespace) -> None:
    """Train the runs that are not stored yet and print the ranking of the configs."""
    from sweep.api.confirming import confirm_study
    from sweep.cli.tables import print_confirmation

    options = ConfirmOptions(
        top=arguments.top,
        seeds=arguments.seeds,
        again=arguments.again,
        quiet=arguments.quiet,
        storage=storage_options(arguments),
        engine=engine_options(arguments),
        device=device_options(arguments),
        workers=worker_options(arguments),
    )
    progress = (lambda _: None) if options.quiet else say
    print_confirmation(confirm_study(arguments.study, options, progress, say))
