"""Commands, flags, help lines. Light: imports no tensorflow, keras, optuna, pandas, plotly (a test holds it)."""

import argparse
import io
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from sweep import __version__
from sweep.errors import DISK_IS_FULL, MAX_FAILURES, SAME_ERRORS, Interrupted, SweepError, is_disk_full
from sweep.text import mask_passwords, one_line

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """argparse repeats what it does not know, be it a URL with a password."""
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
        from sweep.cli import commands

        return int(getattr(commands, options.command)(options) or 0)
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
    parser: argparse.ArgumentParser = _Parser(
        prog="sweep", description="Hyperparameter sweeps for Keras image classifiers on Optuna."
    )
    parser.add_argument("--version", action="version", version=f"sweep {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_init(commands)
    _add_check(commands)
    _add_run(commands)
    _add_list(commands)
    _add_show(commands)
    _add_dashboard(commands)
    _add_report(commands)
    _add_confirm(commands)
    _add_copy(commands)
    _add_export(commands)
    _add_retrain(commands, "retrain", "train a config from several seeds and evaluate it on the test set")
    _add_retrain(commands, "train", "train a config once; a hand-written one is as good as an exported one")
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
    command.add_argument(
        "--engine", choices=("auto", "packed", "sequential", "fake"), help="what trains (the study's, else auto)"
    )
    command.add_argument("--lanes", type=_lanes, metavar="K", help="trials at a time, or auto (the study's, else auto)")
    command.add_argument(
        "--sampler",
        metavar="NAME[:KEY=VALUE,...]",
        help="instead of the file's, as in tpe:multivariate=true; other options are Optuna's defaults",
    )
    command.add_argument(
        "--pruner",
        metavar="NAME[:KEY=VALUE,...]",
        help="instead of the file's, as in percentile:percentile=25; other options are Optuna's defaults",
    )
    command.add_argument(
        "--max-failures",
        type=_at_least_one,
        metavar="N",
        help=f"stop when N trials in a row have failed ({MAX_FAILURES}, or {SAME_ERRORS} with the same error)",
    )
    _add_device(command)
    _add_workers(command)
    command.add_argument("--quiet", action="store_true", help="no progress")


def _add_list(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("list", help="list the studies")
    _add_storage(command)
    command.add_argument("--json", action="store_true")


def _add_show(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("show", help="show a study's trials, best first, or everything about one trial")
    command.add_argument("study", metavar="STUDY")
    command.add_argument("trial", nargs="?", type=int, metavar="TRIAL", help="a trial's number")
    _add_storage(command)
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything about every trial, or about the one")
    form.add_argument("--csv", action="store_true", help="one row a trial; of one trial, one row an epoch")


def _add_dashboard(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("dashboard", help="browse the studies, live, in optuna-dashboard on 127.0.0.1")
    command.add_argument("study", nargs="?", metavar="STUDY", help="this study alone (all)")
    command.add_argument(
        "--best", type=_at_least_one, metavar="N", help="of a study of thousands the best N and latest N trials (all)"
    )
    _add_storage(command)
    command.add_argument("--port", type=_port, default=8080, help="8080 by default; 0 takes a free one")
    command.add_argument(
        "--write", action="store_true", help="let the pages tell, rename and delete, and edit notes (read-only)"
    )
    command.add_argument(
        "--public", action="store_true", help="serve on every network of this machine, to all who can reach it"
    )


def _add_copy(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("copy", help="copy a study between SQLite and PostgreSQL, and compare it")
    command.add_argument("study", metavar="STUDY")
    _add_studies(command)
    command.add_argument("--from", dest="source", metavar="URL", help="(DIR/sweep.db, or SWEEP_STORAGE)")
    command.add_argument("--to", dest="target", metavar="URL", help="(DIR/sweep.db, or SWEEP_STORAGE)")


def _add_confirm(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("confirm", help="train the best configs from fresh seeds: which is really best?")
    command.add_argument("study", metavar="STUDY")
    _add_storage(command)
    command.add_argument("--top", type=_at_least_one, default=5, metavar="K", help="the best K COMPLETE trials (5)")
    command.add_argument(
        "--seeds", type=_at_least_one, default=10, dest="num_seeds", metavar="N", help="for each of them (10)"
    )
    command.add_argument(
        "--engine", choices=("auto", "packed", "sequential", "fake"), help="what trains (the study's, else auto)"
    )
    command.add_argument("--lanes", type=_lanes, metavar="K", help="runs at a time, or auto (the study's, else auto)")
    _add_device(command)
    command.add_argument("--again", action="store_true", help="drop the scores that are stored")
    command.add_argument("--quiet", action="store_true", help="no progress")
    command.set_defaults(trial_timeout=None)


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("export", help="write trials as config files, with where they came from")
    command.add_argument("study", metavar="STUDY")
    _add_storage(command)
    chosen = command.add_mutually_exclusive_group()
    chosen.add_argument("--top", type=_at_least_one, default=3, metavar="K", help="the best K COMPLETE trials (3)")
    chosen.add_argument(
        "--trial", type=int, action="append", default=[], metavar="N", help="this trial; may be repeated"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="folder (DIR/STUDY/configs)")


def _add_retrain(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str) -> None:
    command = commands.add_parser(name, help=summary)
    command.add_argument("config", type=Path, metavar="CONFIG", help="a config file (.toml), exported or hand-written")
    command.set_defaults(num_seeds=1, verify=False, tolerance=None)
    if name == "retrain":
        command.add_argument("--seeds", type=_at_least_one, default=1, metavar="N", dest="num_seeds", help="seeds (1)")
        command.add_argument(
            "--verify", action="store_true", help="repeat the sweep's own run; exit 1 if it scores otherwise"
        )
        command.add_argument("--tolerance", type=float, metavar="X", help="of --verify (1e-6)")
    command.add_argument("--on", choices=("train", "train+validation"), help="what to train on (the config's: train)")
    _add_overrides(command)
    _add_studies(command)
    command.add_argument("--out", type=Path, metavar="DIR", help="folder for the models")
    _add_device(command)


def _add_report(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("report", help="write a study as one offline HTML page, beside others if named")
    command.add_argument("study", metavar="STUDY")
    command.add_argument("others", nargs="*", metavar="OTHER", help="studies to compare it with at equal budget")
    _add_storage(command)
    command.add_argument("--out", type=Path, metavar="FILE", help="the page (DIR/STUDY/report.html)")


def _add_space(command: argparse.ArgumentParser) -> None:
    command.add_argument("space", type=Path, metavar="SPACE", help="a space file (.toml)")
    _add_overrides(command)


def _add_overrides(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="a fixed value: training.epochs=5",
    )


def _add_device(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", default="auto", help="auto (default), cpu, gpu:N")
    command.add_argument("--gpu-memory-gb", type=_above_zero, metavar="GB", help="cap on GPU memory")
    command.add_argument("--threads", type=_at_least_one, metavar="N", help="CPU threads (all cores)")


def _add_workers(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--workers",
        "--num-workers",
        type=_from_zero,
        metavar="N",
        help="processes that train; a trial survives the death of one (the study's, else 0: in this process)",
    )
    command.add_argument("--retries", type=_from_zero, metavar="N", help="of a trial whose worker died (1)")
    command.add_argument(
        "--trial-timeout", type=_duration, metavar="TIME", help="of training, for each attempt of a trial: 90s, 10m"
    )
    command.add_argument("--gpus", type=_gpus, metavar="0,1", help="a worker for each of these GPUs")
    command.add_argument("--slots-per-gpu", type=_at_least_one, metavar="N", help="workers that share a GPU (1)")
    command.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="the workers are actors of this Ray cluster: auto, host:port; without an address of one started here",
    )
    command.add_argument(
        "--cpus-per-worker", type=_at_least_one, metavar="N", help="of a Ray (an equal part; a node's for one each)"
    )
    command.add_argument(
        "--gpus-per-worker", type=_above_zero, metavar="X", help="of a Ray: 1, 2, or 0.5 to share one (0)"
    )


def _add_studies(command: argparse.ArgumentParser) -> None:
    default = Path(os.environ.get("SWEEP_STUDIES", "studies"))
    command.add_argument(
        "--studies", type=Path, default=default, metavar="DIR", help="output folder (studies, or SWEEP_STUDIES)"
    )


def _add_storage(command: argparse.ArgumentParser) -> None:
    _add_studies(command)
    command.add_argument(
        "--storage",
        metavar="URL",
        help="instead of DIR/sweep.db: sqlite:///file.db, postgresql+psycopg://user@host/database (or SWEEP_STORAGE)",
    )


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def _from_zero(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be an integer from 0, got {text!r}")
    return int(text)


def _gpus(text: str) -> list[str]:
    """GPU indices, each once, as the driver counts them."""
    gpus = text.split(",")
    if not all(gpu.isdecimal() for gpu in gpus) or len(set(gpus)) < len(gpus):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of GPUs such as 0,1")
    return gpus


def _lanes(text: str) -> int | None:
    """None for auto."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer or auto, got {text!r}")
    return int(text)


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**16:
        raise argparse.ArgumentTypeError(f"must be from 0 to 65535, got {value}")
    return value


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"must be an integer from 0 to 2147483647, got {text!r}")
    return int(text)


def _above_zero(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) <= 0:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
    return float(text)


def _duration(text: str) -> float:
    """Seconds from `90`, `90s`, `10m`, `2h`, `1d`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; use 90s, 10m or 2h")
    return float(match[1]) * UNITS_S[match[2] or "s"]
