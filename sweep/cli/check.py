"""Define the command `sweep check`."""

import argparse
from pathlib import Path

from sweep.cli.arguments import add_space, positive_int, seed

NAME = "check"
SUMMARY = "Validate a space file and its images, and show what varies and some sampled configurations. Train nothing."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the space file and the options of the sampled configs."""
    add_space(command)
    command.add_argument(
        "--samples", type=positive_int, default=3, metavar="N", help="Number of configurations to sample. Default: 3."
    )
    command.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="Seed of the sampled configurations. Default: 0."
    )
    command.add_argument(
        "--contact-sheet",
        type=Path,
        metavar="FILE",
        help="Write a picture of some training images of each class, .png.",
    )


def run(arguments: argparse.Namespace) -> None:
    """Validate a space file and print what it defines."""
    from sweep.api.spaces import open_space
    from sweep.cli.space_summary import print_samples, print_space
    from sweep.plugins.user_code import contained
    from sweep.system.interruption import Interruption

    space = open_space(arguments.space, arguments.overrides)
    print_space(space)
    with Interruption(), contained(*space.user_code):
        print_samples(space, arguments.samples, arguments.seed, arguments.contact_sheet)
