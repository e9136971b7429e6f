"""Define the command `sweep train`."""

import argparse

from sweep.cli.retrain import add_common_arguments, retrain
from sweep.options import RetrainOptions

NAME = "train"
SUMMARY = "Train a config once, exported or hand-written, and evaluate it on the test set."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the config and how it is trained."""
    add_common_arguments(command)


def run(arguments: argparse.Namespace) -> None:
    """Train one seed of a config and evaluate it."""
    retrain(arguments, RetrainOptions())
