"""Define the command `sweep run`."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.cli.arguments import (
    add_device,
    add_engine,
    add_overrides,
    add_storage,
    add_workers,
    device_options,
    duration,
    engine_options,
    positive_int,
    seed,
    storage_options,
    worker_options,
)
from sweep.cli.say import say
from sweep.errors import MAX_FAILURES, SAME_ERRORS, InputError
from sweep.options import EarlierOptions, RunOptions
from sweep.text import mask_passwords

if TYPE_CHECKING:
    from sweep.space.space import Space

NAME = "run"
SUMMARY = "Run a sweep, or resume an existing one."
FROM_FILE = "Default: the space file's."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments in groups: study, limits, storage, engine, device, workers."""
    command.add_argument("space", type=Path, nargs="?", metavar="SPACE", help="Path of the space file (.toml).")
    add_overrides(command)
    study = command.add_argument_group("study")
    study.add_argument(
        "--objective",
        metavar="FILE.py:FUNCTION",
        help="Objective of a plain Optuna program, or module:function, instead of a space file. Its trial.suggest_... "
        "calls define the space.",
    )
    study.add_argument(
        "--direction",
        action="append",
        default=[],
        choices=("minimize", "maximize"),
        help="Direction of the --objective; repeat it for a multi-objective study. Default: minimize.",
    )
    study.add_argument("--study", metavar="NAME", help=f"Name of the study. {FROM_FILE}")
    study.add_argument("--seed", type=seed, metavar="N", help=f"Seed of sampling, weights and minibatches. {FROM_FILE}")
    study.add_argument(
        "--sampler",
        metavar="NAME[:KEY=VALUE,...]",
        help=f"Optuna sampler, as in tpe:multivariate=true; other options keep Optuna's defaults. {FROM_FILE}",
    )
    study.add_argument(
        "--pruner",
        metavar="NAME[:KEY=VALUE,...]",
        help=f"Optuna pruner, as in percentile:percentile=25; other options keep Optuna's defaults. {FROM_FILE}",
    )
    _add_earlier(command)
    limits = command.add_argument_group("limits")
    limits.add_argument(
        "--trials", type=positive_int, metavar="N", help=f"Total number of finished trials. {FROM_FILE}"
    )
    limits.add_argument(
        "--timeout", type=duration, metavar="TIME", help="Total time, across resumes: 90s, 10m, 2h. Default: no limit."
    )
    limits.add_argument(
        "--max-failures",
        type=positive_int,
        metavar="N",
        help="Number of consecutive failed trials that stop the sweep. "
        f"Default: {MAX_FAILURES}, or {SAME_ERRORS} with the same error.",
    )
    add_storage(command)
    add_engine(command)
    add_device(command)
    add_workers(command)
    command.add_argument(
        "--callback",
        action="append",
        default=[],
        metavar="NAME",
        help="Callback: module:Class for a custom sweep.Callback, or the name of an installed one. Can be repeated.",
    )
    command.add_argument("--quiet", action="store_true", help="Print no progress.")


def _add_earlier(command: argparse.ArgumentParser) -> None:
    earlier = command.add_argument_group("earlier results")
    earlier.add_argument(
        "--from",
        dest="earlier",
        metavar="STUDY",
        help="Study of the same database whose trials a new study starts from: finished if their scores hold, else run "
        "again. Default: none.",
    )
    earlier.add_argument(
        "--top", type=positive_int, metavar="K", help="Number of its best trials to take over. Default: all."
    )
    earlier.add_argument(
        "--recheck",
        type=positive_int,
        metavar="N",
        help="Number of its best trials to run once more, to see whether their scores hold. Default: 0.",
    )


def options(arguments: argparse.Namespace) -> RunOptions:
    """Return the options of the command."""
    return RunOptions(
        study=arguments.study,
        trials=arguments.trials,
        timeout_s=arguments.timeout,
        seed=arguments.seed,
        max_failures=arguments.max_failures,
        quiet=arguments.quiet,
        callbacks=tuple(arguments.callback),
        earlier=EarlierOptions(arguments.earlier, arguments.top, arguments.recheck),
        command=_command(sys.argv[1:]),
        storage=storage_options(arguments),
        engine=engine_options(arguments),
        device=device_options(arguments),
        workers=worker_options(arguments),
    )


def run(arguments: argparse.Namespace) -> None:
    """Start or resume the study, and print how it ended."""
    from sweep.tuning.session import run_sweep
    from sweep.tuning.summary import end_lines

    run_options = options(arguments)
    space = _space(arguments)
    for line in end_lines(run_sweep(space, run_options, say)):
        print(line)


def _space(arguments: argparse.Namespace) -> "Space":
    from sweep.api.spaces import open_objective, open_space

    if (arguments.space is None) == (arguments.objective is None):
        raise InputError("pass a space file, or --objective FILE.py:FUNCTION")
    if arguments.objective is None and arguments.direction:
        raise InputError("--direction is for --objective; a space file has study.direction")
    if arguments.objective is None:
        return open_space(arguments.space, arguments.overrides, arguments.sampler, arguments.pruner)
    return open_objective(
        arguments.objective, arguments.direction, arguments.overrides, arguments.sampler, arguments.pruner
    )


def _command(arguments: Sequence[str]) -> str:
    """Return the command line for the record: passwords masked, undecodable file names escaped."""
    return shlex.join(["sweep", *map(mask_passwords, arguments)]).encode(errors="backslashreplace").decode()
