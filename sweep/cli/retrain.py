"""`sweep retrain`, and `sweep train`, which is one seed of it."""

import argparse
from dataclasses import replace
from pathlib import Path

from sweep.cli.arguments import (
    add_device,
    add_engine,
    add_overrides,
    add_studies,
    add_workers,
    at_least_one,
    device_options,
    engine_options,
    storage_options,
    worker_options,
)
from sweep.cli.say import say
from sweep.options import RetrainOptions

NAME = "retrain"
SUMMARY = "train a config from several seeds and evaluate it on the test set"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The config, its seeds, or the score that is verified."""
    add_common_arguments(command)
    command.add_argument("--seeds", type=at_least_one, default=1, metavar="N", help="seeds (1)")
    command.add_argument(
        "--verify", action="store_true", help="repeat the sweep's own run; exit 1 if it scores otherwise"
    )
    command.add_argument("--tolerance", type=float, metavar="X", help="of --verify (1e-6)")
    add_engine(command, "seeds", "sequential, one seed after the other, each resumed where it was")
    add_workers(command)


def add_common_arguments(command: argparse.ArgumentParser) -> None:
    """Those that `train` has, too."""
    command.add_argument("config", type=Path, metavar="CONFIG", help="a config file (.toml), exported or hand-written")
    command.add_argument("--on", choices=("train", "train+validation"), help="what to train on (the config's: train)")
    add_overrides(command)
    add_studies(command)
    command.add_argument("--out", type=Path, metavar="DIR", help="folder for the models")
    add_device(command)


def run(arguments: argparse.Namespace) -> None:
    """Train a config's seeds and evaluate them, or repeat the sweep's own run and compare."""
    retrain(
        arguments,
        RetrainOptions(
            seeds=arguments.seeds,
            verify=arguments.verify,
            tolerance=arguments.tolerance,
            engine=engine_options(arguments),
            workers=worker_options(arguments),
        ),
    )


def retrain(arguments: argparse.Namespace, options: RetrainOptions) -> None:
    """As asked for; print what came of it and how to use it."""
    from sweep.api.retraining import retrain_config, verify_config

    asked = replace(
        options,
        train_on=arguments.on,
        out=arguments.out,
        storage=storage_options(arguments),
        device=device_options(arguments),
    )
    if asked.verify:
        verify_config(arguments.config, asked, say, arguments.overrides)
        print("verified: the stored score is reproduced")
        return
    retrained = retrain_config(arguments.config, asked, say, arguments.overrides)
    for line in retrained.lines():
        print(line)
