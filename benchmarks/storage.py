"""What coordination costs for each trial: ask, report each epoch, tell; nothing is trained.

    python benchmarks/storage.py [--repeats 5] [--trials 100]

TPE, the 6 parameters and 20 epochs of spaces/digits.toml, no pruner, closed-form scores (the fake engine). In turn,
within one process, each time on a fresh study:

    sweep            `sweep run --engine fake`: tuner, in-memory study, transactions behind; what is told is durable
    optuna, sqlite   plain Optuna on SQLite as it comes: ask, report and should_prune each epoch, tell
    optuna, memory   the same in memory: the sampler's own cost, the floor of both, durable for neither

Measured: CPU time of the process and wall time, divided by the trials.
"""

import argparse
import contextlib
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import results

from sweep.cli.parser import main as run_sweep
from sweep.engines.fake import fake_record
from sweep.space.file import load_space
from sweep.space.space import Space

SPACE_FILE = results.ROOT / "benchmarks" / "spaces" / "digits.toml"
HEADER = ("program", "CPU ms/trial", "of each run", "wall ms/trial", "of each run", "CPU against sweep")


def run_with_sweep(space: Space, num_trials: int, folder: Path) -> None:
    """The command itself, its lines swallowed."""
    flags = ["--engine", "fake", "--sampler", "tpe", "--trials", str(num_trials), "--studies", str(folder), "--quiet"]
    with contextlib.redirect_stdout(io.StringIO()):
        exit_code = run_sweep(["run", space.source, *flags])
    assert exit_code == 0


def run_with_sqlite(space: Space, num_trials: int, folder: Path) -> None:
    """Plain Optuna, a URL as the storage."""
    run_with_optuna(space, num_trials, f"sqlite:///{folder / 'optuna.db'}")


def run_in_memory(space: Space, num_trials: int, folder: Path) -> None:
    """Plain Optuna without a database."""
    run_with_optuna(space, num_trials, None)


def run_with_optuna(space: Space, num_trials: int, storage: str | None) -> None:
    """Ask, report and ask whether to prune at each epoch, tell."""
    sampler, pruner = optuna.samplers.TPESampler(seed=0), optuna.pruners.NopPruner()
    study = optuna.create_study(storage=storage, sampler=sampler, pruner=pruner, direction="maximize")
    for number in range(num_trials):
        trial = study.ask()
        config = space.resolve(space.suggest(trial), seed=number)
        for epoch in range(1, config.training.epochs + 1):
            score = fake_record(config, epoch).logs["val_accuracy"]
            trial.report(score, epoch)
            assert not trial.should_prune()
        study.tell(trial, score)


PROGRAMS: dict[str, Callable[[Space, int, Path], None]] = {
    "sweep": run_with_sweep,
    "optuna, sqlite": run_with_sqlite,
    "optuna, memory": run_in_memory,
}


def main() -> None:
    """Warm up, measure in turn, append one table."""
    options = _parse_arguments()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    machine, space = results.describe_machine(), load_space(SPACE_FILE)
    for run in PROGRAMS.values():
        measure(run, space, 2)  # imports and first calls
    rounds = [
        {name: measure(run, space, options.trials) for name, run in PROGRAMS.items()} for _ in range(options.repeats)
    ]
    title = f"Coordination, {options.trials} trials of {space.max_epochs()} reports, {options.repeats} rounds"
    results.append(options.out, title, machine, results.table(HEADER, summarize(rounds)))


def measure(run: Callable[[Space, int, Path], None], space: Space, num_trials: int) -> tuple[float, float]:
    """CPU and wall time for each trial, in ms, on a fresh study; creating it is counted."""
    with results.scratch_folder() as folder:
        cpu, wall = time.process_time(), time.perf_counter()
        run(space, num_trials, Path(folder))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return cpu / num_trials * 1000, wall / num_trials * 1000


def summarize(rounds: list[dict[str, tuple[float, float]]]) -> list[list[object]]:
    """A row for each program: medians over the rounds."""
    rows: list[list[object]] = []
    for name in PROGRAMS:
        cpu_ms, wall_ms = zip(*(measured[name] for measured in rounds), strict=True)
        ratio = statistics.median(measured[name][0] / measured["sweep"][0] for measured in rounds)
        shown = [value for times in (cpu_ms, wall_ms) for value in (statistics.median(times), _list(times))]
        rows.append([name, *shown, f"{ratio:.2f}x"])
    return rows


def _list(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds (5)")
    parser.add_argument("--trials", type=int, default=100, metavar="N", help="trials of each run (100)")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
