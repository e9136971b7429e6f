"""`sweep confirm`."""

import argparse

from sweep.cli.arguments import (
    add_device,
    add_engine,
    add_storage,
    add_workers,
    at_least_one,
    device_options,
    engine_options,
    storage_options,
    worker_options,
)
from sweep.cli.say import say
from sweep.options import ConfirmOptions

NAME = "confirm"
SUMMARY = "train the best configs from fresh seeds: which is really best?"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Which trials, how many seeds, where they are trained."""
    command.add_argument("study", metavar="STUDY")
    command.add_argument("--top", type=at_least_one, default=5, metavar="K", help="the best K COMPLETE trials (5)")
    command.add_argument("--seeds", type=at_least_one, default=10, metavar="N", help="for each of them (10)")
    command.add_argument("--again", action="store_true", help="drop the scores that are stored")
    add_storage(command)
    add_engine(command, "runs")
    add_device(command)
    add_workers(command)
    command.add_argument("--quiet", action="store_true", help="no progress")


def run(arguments: argparse.Namespace) -> None:
    """Train what is not stored yet; print which config is best."""
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
