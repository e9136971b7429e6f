"""Parse the command line and run one command; each command is a module with its arguments and its `run`.

No module of a command imports TensorFlow, Keras, Optuna, pandas or plotly at the top (a test checks it), so that
`--help` is instant.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import NoReturn

from sweep import __version__
from sweep.cli import (
    check,
    confirm,
    copy,
    dashboard,
    export,
    init,
    keys,
    list,
    migrate,
    report,
    retrain,
    run,
    score,
    show,
    train,
)
from sweep.cli.reading_progress import reading_progress
from sweep.errors import DISK_IS_FULL, Interrupted, SweepError, is_disk_full
from sweep.system.progress import shown_by
from sweep.text import mask_passwords, one_line

COMMANDS = (
    init,
    keys,
    check,
    run,
    list,
    show,
    score,
    dashboard,
    report,
    confirm,
    copy,
    migrate,
    export,
    retrain,
    train,
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print the error with passwords masked, as argparse repeats unknown arguments, URLs among them."""
        super().error(mask_passwords(message))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The command line without the program's name; None for `sys.argv[1:]`.

    Returns:
        The exit code: 0 for success, 1 if `retrain --verify` finds another score, 2 for invalid input, 3 for a sweep
        without a usable trial, 129, 130 or 143 for an interruption, 141 if the output was closed.
    """
    try:
        return _run(build_parser().parse_args(arguments))
    except KeyboardInterrupt:
        print("sweep: interrupted", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may be undecodable
    try:
        with nullcontext() if getattr(options, "quiet", False) else shown_by(reading_progress):
            options.run(options)
        return 0
    except SweepError as error:
        print(f"sweep: {one_line(str(error))}", file=sys.stderr)
        return error.exit_code
    except Interrupted as interrupted:
        with suppress(OSError):  # the terminal may be gone
            print("sweep: interrupted; run the same command to resume", file=sys.stderr)
        return interrupted.exit_code
    except BrokenPipeError:  # as in `sweep show ... | head`; a command that trains is then incomplete
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0 if options.command in ("list", "show", "score", "check", "init", "keys") else 141
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        reason = DISK_IS_FULL if is_disk_full(error) else error.strerror or str(error)
        print(f"sweep: {one_line(f'{where}{reason}')}", file=sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    parser = _Parser(
        prog="sweep",
        description="Hyperparameter sweeps for Keras image classifiers on Optuna.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sweep {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        command = commands.add_parser(module.NAME, help=module.SUMMARY, description=module.SUMMARY, allow_abbrev=False)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser
