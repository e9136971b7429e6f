"""`sweep train`."""

import argparse

from sweep.cli.retrain import add_common_arguments, retrain
from sweep.options import RetrainOptions

NAME = "train"
SUMMARY = "train a config once; a hand-written one is as good as an exported one"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The config."""
    add_common_arguments(command)


def run(arguments: argparse.Namespace) -> None:
    """One seed of a config."""
    retrain(arguments, RetrainOptions())
