"""Define the command `sweep retrain`; `sweep train` uses it with one seed."""

import argparse
from dataclasses import replace
from pathlib import Path

from sweep.cli.arguments import (
    add_device,
    add_engine,
    add_overrides,
    add_studies,
    add_workers,
    device_options,
    engine_options,
    positive_int,
    storage_options,
    worker_options,
)
from sweep.cli.say import say
from sweep.errors import InputError
from sweep.options import RetrainOptions

NAME = "retrain"
SUMMARY = "Train a config with one or more seeds and evaluate it on the test set."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the config, its seeds, and the options of `--verify`."""
    add_common_arguments(command)
    command.add_argument("--seeds", type=positive_int, default=1, metavar="N", help="Number of seeds. Default: 1.")
    command.add_argument(
        "--verify",
        action="store_true",
        help="Repeat the trial's run of the sweep instead; exit with 1 if its score differs.",
    )
    command.add_argument(
        "--tolerance", type=float, metavar="X", help="Largest score difference that --verify accepts. Default: 1e-6."
    )
    add_engine(command, "seeds", "sequential, with a checkpoint after each epoch")
    add_workers(command)


def add_common_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments that `sweep retrain` and `sweep train` share."""
    command.add_argument(
        "configs",
        type=Path,
        metavar="CONFIG",
        nargs="+",
        help="Path of a config file (.toml) with the values of one training run, exported or hand-written.",
    )
    command.add_argument(
        "--on",
        choices=("train", "train+validation"),
        help="Images to train on. Default: the config's value, else train.",
    )
    add_overrides(command)
    add_studies(command)
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="Output folder of the models. Default: models/NAME, in the study's folder if the config was exported.",
    )
    command.add_argument("--quiet", action="store_true", help="Print no progress.")
    add_device(command)


def run(arguments: argparse.Namespace) -> None:
    """Train each config's seeds and evaluate them, or repeat the sweep's run and compare the scores."""
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
    """Train or verify as the options say, and print the result.

    Args:
        arguments: Those of `add_common_arguments`.
        options: All other options.
    """
    from sweep.api.retraining import retrain_config, verify_config

    options = replace(
        options,
        train_on=arguments.on,
        out=arguments.out,
        storage=storage_options(arguments),
        device=device_options(arguments),
    )
    if options.out is not None and len(arguments.configs) > 1:
        raise InputError(f"--out: {len(arguments.configs)} configs cannot share a folder; train them one by one")
    progress = (lambda _: None) if arguments.quiet else say
    for config in arguments.configs:
        if options.verify:
            verify_config(config, options, progress, arguments.overrides)
            print("verified: the stored score was reproduced")
            continue
        for line in retrain_config(config, options, progress, arguments.overrides).lines():
            print(line)
