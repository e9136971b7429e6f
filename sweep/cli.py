"""Commands, flags, help lines. Light: imports no tensorflow, keras, optuna, pandas, plotly (a test holds it)."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from sweep import __version__
from sweep.errors import Interrupted, SweepError

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 2 wrong input, 3 no usable trial, 130/143 interrupted."""
    options = build_parser().parse_args(arguments)
    from sweep import commands

    try:
        return int(getattr(commands, options.command)(options) or 0)
    except SweepError as error:
        print(f"sweep: {error}", file=sys.stderr)
        return error.exit_code
    except Interrupted as interrupted:
        print("sweep: interrupted; the same command goes on", file=sys.stderr)
        return interrupted.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `sweep show ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="sweep", description="Hyperparameter sweeps for Keras image classifiers on Optuna."
    )
    parser.add_argument("--version", action="version", version=f"sweep {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_init(commands)
    _add_check(commands)
    _add_run(commands)
    _add_list(commands)
    _add_show(commands)
    _add_report(commands)
    return parser


def _add_init(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("init", help="copy the shipped space files into a folder of yours")
    command.add_argument("folder", type=Path)


def _add_check(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("check", help="validate a space file; show what is fixed, what varies, some configs")
    _add_space(command)
    command.add_argument("--samples", type=_at_least_one, default=3, metavar="N", help="sampled configs to show (3)")
    command.add_argument("--seed", type=_seed, default=0, help="of the samples (0)")


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("run", help="run a sweep, or go on with it")
    _add_space(command)
    _add_storage(command)
    command.add_argument("--study", metavar="NAME", help="study name (the file's)")
    command.add_argument("--trials", type=_at_least_one, metavar="N", help="finished trials in total (the file's)")
    command.add_argument("--timeout", type=_duration, metavar="TIME", help="in total, across resumes: 90s, 10m, 2h")
    command.add_argument("--seed", type=_seed, help="of sampling, weights and minibatches (the file's)")
    command.add_argument("--engine", choices=("sequential", "fake"), help="what trains (sequential); fake: no Keras")
    command.add_argument("--sampler", metavar="NAME", help="instead of the file's, with Optuna's defaults")
    command.add_argument("--pruner", metavar="NAME", help="instead of the file's, with Optuna's defaults")
    command.add_argument("--device", default="auto", help="auto (default), cpu, gpu:N")
    command.add_argument("--gpu-memory-gb", type=float, metavar="GB", help="cap on GPU memory")
    command.add_argument("--threads", type=_at_least_one, metavar="N", help="CPU threads (all cores)")
    command.add_argument("--quiet", action="store_true", help="no progress")


def _add_list(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("list", help="list the studies")
    _add_storage(command)
    command.add_argument("--json", action="store_true")


def _add_show(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("show", help="show a study's trials, best first")
    command.add_argument("study", metavar="STUDY")
    _add_storage(command)
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything about every trial")
    form.add_argument("--csv", action="store_true", help="one row a trial")


def _add_report(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("report", help="write a study as one offline HTML page, beside others if named")
    command.add_argument("study", metavar="STUDY")
    command.add_argument("others", nargs="*", metavar="OTHER", help="studies to compare it with at equal budget")
    _add_storage(command)
    command.add_argument("--out", type=Path, metavar="FILE", help="the page (DIR/STUDY/report.html)")


def _add_space(command: argparse.ArgumentParser) -> None:
    command.add_argument("space", type=Path, metavar="SPACE", help="a space file (.toml)")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="a fixed value: training.epochs=5",
    )


def _add_storage(command: argparse.ArgumentParser) -> None:
    default = Path(os.environ.get("SWEEP_STUDIES", "studies"))
    command.add_argument(
        "--studies", type=Path, default=default, metavar="DIR", help="output folder (studies, or SWEEP_STUDIES)"
    )
    command.add_argument("--storage", metavar="URL", help="database instead of DIR/sweep.db: sqlite:///file.db")


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is below 1")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**31:
        raise argparse.ArgumentTypeError(f"{value} is not in 0 .. 2147483647")
    return value


def _duration(text: str) -> float:
    """Seconds from `90`, `90s`, `10m`, `2h`, `1d`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; use 90s, 10m or 2h")
    return float(match[1]) * UNITS_S[match[2] or "s"]


if __name__ == "__main__":
    sys.exit(main())
