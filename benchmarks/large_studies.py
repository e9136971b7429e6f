"""Studies of many trials: what asking, coming back and looking cost as they grow, beside plain Optuna.

    python benchmarks/large_studies.py [--trials 1000 10000]

One study grows to each of the sizes: `sweep run --engine fake --lanes 8` with TPE, the median pruner, the 6 parameters
and 20 epochs of spaces/digits.toml, through the real tuner and database. At each size, every command in a process of
its own, timed after its imports:

    ask        asking TPE for a trial's parameters, over the last 500 trials of the growth: median and 99th percentile
    resume     `sweep run --trials N+1`: reading and checking the study, one more trial, the end
    list, show, report

Beside it, plain Optuna on a copy of the database: `load_study` with all its trials (cold read), and 20 asks with TPE's
defaults, fewer where these take more than two minutes. Draws the growth as docs/pictures/large_studies.svg.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import large_studies_plot
import results
from processes import resident_mb, run_for_json

SPACE_FILE = results.ROOT / "benchmarks" / "spaces" / "digits.toml"
NAME = "large"
LAST = 500  # trials whose asking is a size's
NUM_POINTS = 200  # of the growth
NUM_ASKS, MOST_ASKING_S = 20, 120  # of plain Optuna: fewer where they take longer
HEADER = (
    *("trials", "ask ms, median", "99th percentile", "ms a trial", "memory MB", "resume s", "list s", "show s"),
    *("report s", "report MB", "database MB", "Optuna: cold read s", "ask ms, median", "largest"),
)


def main() -> None:
    """Grow, measure, append a table, draw."""
    options = _parse_arguments()
    if options.child:
        print(json.dumps(CHILDREN[options.child[0]](*options.child[1:])))
        return
    machine, rows, points = results.describe_machine(), [], []
    with results.scratch_folder() as folder:
        for num_trials in sorted(options.trials):
            points += _in_child("grow", folder, num_trials)
            rows.append(_row(Path(folder), num_trials, points))
            print(results.table(HEADER, rows[-1:]), file=sys.stderr, flush=True)
            large_studies_plot.draw(points, results.ROOT / "docs" / "pictures" / "large_studies.svg")
    results.append(options.out, "Studies of many trials", machine, results.table(HEADER, rows), __doc__ or "")


def _row(folder: Path, num_trials: int, points: Sequence[dict[str, float]]) -> list[object]:
    last = points[-1]
    timed = [
        _in_child("command", *arguments, "--studies", str(folder))
        for arguments in (
            [*_run(num_trials + 1), "--studies", str(folder)],
            ["list"],
            ["show", NAME],
            ["report", NAME],
        )
    ]
    page, database = folder / NAME / "report.html", folder / "sweep.db"
    sizes_mb = [file.stat().st_size / 1e6 for file in (page, database)]
    copy = shutil.copyfile(database, folder / "copy.db")
    theirs = _in_child("optuna", str(copy))
    ours = [last["ask_ms"], last["ask_p99_ms"], last["trial_ms"], last["memory_mb"]]
    return [num_trials, *ours, *timed, *sizes_mb, theirs["read_s"], theirs["ask_ms"], theirs["most_ask_ms"]]


def _run(num_trials: int) -> list[str]:
    flags = ["--engine", "fake", "--lanes", "8", "--sampler", "tpe", "--pruner", "median", "--quiet"]
    return ["run", str(SPACE_FILE), "--study", NAME, "--trials", str(num_trials), *flags]


def _in_child(what: str, *arguments: object) -> Any:
    """This script as another process."""
    return run_for_json([sys.executable, __file__, "--child", what, *map(str, arguments)])


# ---- in a process of its own ----


def _grow(folder: str, num_trials: str) -> list[dict[str, float]]:
    """Sweep to so many trials; points of the growth."""
    from sweep.space.space import Space
    from sweep.tuning.study import SweepStudy

    asks_s: list[float] = []
    points: list[dict[str, float]] = []
    ask, suggest, started = SweepStudy.ask_next, Space.suggest, time.perf_counter()
    every = max(1, int(num_trials) // NUM_POINTS)

    def timed_ask(study: SweepStudy) -> Any:
        nonlocal started
        if asks_s and len(asks_s) % every == 0:
            trial_ms = 1000 * (time.perf_counter() - started) / every
            points.append(_point(study.write_behind.num_trials, trial_ms, asks_s))
            started = time.perf_counter()
        return _timed(asks_s, lambda: ask(study))

    def timed_suggest(space: Space, trial: Any) -> Any:
        params: list[float] = []
        suggested = _timed(params, lambda: suggest(space, trial))
        asks_s[-1] += params[0]
        return suggested

    SweepStudy.ask_next, Space.suggest = timed_ask, timed_suggest  # type: ignore[method-assign]
    _main([*_run(int(num_trials)), "--studies", folder])
    return [*points, _point(int(num_trials), points[-1]["trial_ms"], asks_s)]


def _point(num_trials: int, trial_ms: float, asks_s: Sequence[float]) -> dict[str, float]:
    last = sorted(1000 * seconds for seconds in asks_s[-LAST:])
    p99 = last[-(-99 * len(last) // 100) - 1]
    memory = resident_mb(os.getpid())
    median = statistics.median(last)
    return {"trials": num_trials, "ask_ms": median, "ask_p99_ms": p99, "trial_ms": trial_ms, "memory_mb": memory}


def _timed(seconds: list[float], call: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    result = call()
    seconds.append(time.perf_counter() - started)
    return result


def _command(*arguments: str) -> float:
    """Seconds of a command of ours, its imports made before."""

    seconds: list[float] = []
    _timed(seconds, lambda: _main([*arguments]))
    return seconds[0]


def _main(arguments: list[str]) -> None:
    from sweep.cli.parser import main as sweep_main

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        assert sweep_main(arguments) == 0


def _optuna(database: str) -> dict[str, float]:
    """Plain Optuna on the same study."""
    import optuna

    from sweep.space.file import load_space

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space, reads_s, asks_s = load_space(SPACE_FILE), [], []
    sampler = optuna.samplers.TPESampler(seed=0)
    study = optuna.load_study(study_name=NAME, storage=f"sqlite:///{database}", sampler=sampler)
    _timed(reads_s, lambda: study.get_trials(deepcopy=False))
    while len(asks_s) < NUM_ASKS and sum(asks_s) < MOST_ASKING_S:
        _timed(asks_s, lambda: space.suggest(study.ask()))
    return {
        "read_s": reads_s[0],
        "ask_ms": 1000 * statistics.median(asks_s),
        "most_ask_ms": 1000 * max(asks_s),
    }


CHILDREN: dict[str, Callable[..., Any]] = {"grow": _grow, "command": _command, "optuna": _optuna}


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10_000], metavar="N", help="(1000 10000)")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    parser.add_argument("--child", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
