"""`sweep check`."""

import argparse

from sweep.cli.arguments import add_space, at_least_one, seed

NAME = "check"
SUMMARY = "validate a space file; show what is fixed, what varies, some configs"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The space file and the samples."""
    add_space(command)
    command.add_argument("--samples", type=at_least_one, default=3, metavar="N", help="sampled configs to show (3)")
    command.add_argument("--seed", type=seed, default=0, help="of the samples (0)")


def run(arguments: argparse.Namespace) -> None:
    """Validate a space file and show what it makes."""
    from sweep.api.spaces import open_space
    from sweep.cli.space_summary import print_samples, print_space
    from sweep.plugins.users_code import contained
    from sweep.system.interruption import Interruption

    space = open_space(arguments.space, arguments.overrides)
    print_space(space)
    with Interruption(), contained(*space.users_code):
        print_samples(space, arguments.samples, arguments.seed)
