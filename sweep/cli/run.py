"""`sweep run`."""

import argparse
import shlex
import sys
from collections.abc import Sequence

from sweep.cli.arguments import (
    add_device,
    add_engine,
    add_space,
    add_storage,
    add_workers,
    at_least_one,
    device_options,
    duration,
    engine_options,
    seed,
    storage_options,
    worker_options,
)
from sweep.cli.say import say
from sweep.errors import MAX_FAILURES, SAME_ERRORS
from sweep.options import RunOptions
from sweep.text import mask_passwords

NAME = "run"
SUMMARY = "run a sweep, or resume it"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """In groups: the study, when it ends, what is asked, then where and how it is stored and trained."""
    add_space(command)
    study = command.add_argument_group("study")
    study.add_argument("--study", metavar="NAME", help="study name (the file's)")
    study.add_argument("--seed", type=seed, help="of sampling, weights and minibatches (the file's)")
    study.add_argument(
        "--sampler",
        metavar="NAME[:KEY=VALUE,...]",
        help="instead of the file's, as in tpe:multivariate=true; other options are Optuna's defaults",
    )
    study.add_argument(
        "--pruner",
        metavar="NAME[:KEY=VALUE,...]",
        help="instead of the file's, as in percentile:percentile=25; other options are Optuna's defaults",
    )
    limits = command.add_argument_group("when it ends")
    limits.add_argument("--trials", type=at_least_one, metavar="N", help="finished trials in total (the file's)")
    limits.add_argument("--timeout", type=duration, metavar="TIME", help="in total, across resumes: 90s, 10m, 2h")
    limits.add_argument(
        "--max-failures",
        type=at_least_one,
        metavar="N",
        help=f"stop when N trials in a row have failed ({MAX_FAILURES}, or {SAME_ERRORS} with the same error)",
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
        help="module:Class of a sweep.Callback of yours, or one of an installed package; may be repeated",
    )
    command.add_argument("--quiet", action="store_true", help="no progress")


def options(arguments: argparse.Namespace) -> RunOptions:
    """What was asked for."""
    return RunOptions(
        study=arguments.study,
        trials=arguments.trials,
        timeout_s=arguments.timeout,
        seed=arguments.seed,
        max_failures=arguments.max_failures,
        quiet=arguments.quiet,
        callbacks=tuple(arguments.callback),
        command=_command(sys.argv[1:]),
        storage=storage_options(arguments),
        engine=engine_options(arguments),
        device=device_options(arguments),
        workers=worker_options(arguments),
    )


def run(arguments: argparse.Namespace) -> None:
    """Check everything, resume the study or begin it, say how it ended."""
    from sweep.api.spaces import open_space
    from sweep.tuning.session import run_sweep
    from sweep.tuning.summary import end_lines

    asked = options(arguments)
    space = open_space(arguments.space, arguments.overrides, arguments.sampler, arguments.pruner)
    for line in end_lines(run_sweep(space, asked, say)):
        print(line)


def _command(arguments: Sequence[str]) -> str:
    """As it was given, without passwords; a file's name may be no text."""
    return shlex.join(["sweep", *map(mask_passwords, arguments)]).encode(errors="backslashreplace").decode()
