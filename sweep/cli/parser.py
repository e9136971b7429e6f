"""The command line: one module a command, with its arguments and its run.

Light: nothing here or in the commands' modules imports TensorFlow, Keras, Optuna, pandas or plotly at the top (a test
holds it), so that `--help` is instant.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from sweep import __version__
from sweep.cli import check, confirm, copy, dashboard, export, init, list, report, retrain, run, show, train
from sweep.errors import DISK_IS_FULL, Interrupted, SweepError, is_disk_full
from sweep.text import mask_passwords, one_line

COMMANDS = (init, check, run, list, show, dashboard, report, confirm, copy, export, retrain, train)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print one line; argparse repeats what it does not know, be it a URL with a password."""
        super().error(mask_passwords(message))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 2 wrong input, 3 no usable trial, 129/130/143 interrupted."""
    try:
        return _run(build_parser().parse_args(arguments))
    except KeyboardInterrupt:
        print("sweep: interrupted", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may be no text
    try:
        options.run(options)
        return 0
    except SweepError as error:
        print(f"sweep: {one_line(str(error))}", file=sys.stderr)
        return error.exit_code
    except Interrupted as interrupted:
        with suppress(OSError):  # the terminal may be gone
            print("sweep: interrupted; the same command goes on", file=sys.stderr)
        return interrupted.exit_code
    except BrokenPipeError:  # `sweep show ... | head`; a sweep whose output is closed has not done its work
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0 if options.command in ("list", "show", "check", "init") else 141
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        reason = DISK_IS_FULL if is_disk_full(error) else error.strerror or str(error)
        print(f"sweep: {one_line(f'{place}{reason}')}", file=sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(
        prog="sweep",
        description="Hyperparameter sweeps for Keras image classifiers on Optuna.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sweep {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        command = commands.add_parser(module.NAME, help=module.SUMMARY, allow_abbrev=False)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser
