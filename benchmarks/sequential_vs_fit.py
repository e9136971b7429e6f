"""`sweep run` with its sequential engine against a plain Optuna and Keras `fit` loop, on the same trials.

    python benchmarks/sequential_vs_fit.py [--work digits mnist] [--repeats 3]

Each program runs as a process of its own, in turn (fit, sweep, fit, sweep, ...), on the CPU, with a fresh database.
Measured of each process: its wall and CPU time divided by the trials (imports, data, compilation and storage counted),
and the median duration of a trial by the study's own clock. A ratio above 1 says that sweep is faster.
Checked first: both build the same weights and optimizer; after each round: both trained the same params.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import results
from results import ROOT

BENCHMARKS = ROOT / "benchmarks"
ENVIRONMENT = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
HEADER = (
    "work", "program", "s/trial, whole process", "of each run", "CPU s/trial", "s inside a trial",
    "best val_accuracy", "fit / sweep, of each round", "median ratio",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One work item at its size: 0 for trials or epochs means the space file's own number."""

    work: str
    trials: int
    epochs: int

    @property
    def space(self) -> Path:
        """Its space file."""
        return BENCHMARKS / "spaces" / f"{self.work}.toml"


@dataclass(frozen=True)
class Run:
    """What one process took, each second for a trial, and what its study holds."""

    wall_s: float
    cpu_s: float
    inside_s: float
    best_value: float
    params: list[dict[str, Any]]


def fit_command(task: Task, database: Path) -> list[str]:
    """The plain loop."""
    command = [sys.executable, str(BENCHMARKS / "fit_loop.py"), task.work, "--trials", str(task.trials)]
    return [*command, "--epochs", str(task.epochs), "--storage", f"sqlite:///{database}"]


def sweep_command(task: Task, database: Path) -> list[str]:
    """`sweep run` on the work's space file."""
    command = [sys.executable, "-m", "sweep.cli", "run", str(task.space), "--trials", str(task.trials)]
    command += ["--engine", "sequential"]
    return [*command, "--set", f"training.epochs={task.epochs}", "--storage", f"sqlite:///{database}"]


PROGRAMS: dict[str, Callable[[Task, Path], list[str]]] = {"fit": fit_command, "sweep": sweep_command}


def main() -> None:
    """Measure every work item, then append one table."""
    options = _parse_arguments()
    machine = results.describe_machine()
    rows = []
    for work in options.work:
        if work == "mnist" and not os.environ.get("SWEEP_DATA"):
            print("mnist: skipped, as SWEEP_DATA is not set; set it to a folder that holds mnist/", file=sys.stderr)
            continue
        task = settle_task(work, options.trials, options.epochs)
        check_same_model(task)
        rows += summarize(task, [measure_round(task, number) for number in range(options.repeats)])
    if rows:
        title = f"Sequential engine against a `fit` loop, {options.repeats} rounds"
        results.append(options.out, title, machine, results.table(HEADER, rows), describe_columns())


def settle_task(work: str, trials: int | None, epochs: int | None) -> Task:
    """The numbers of trials and epochs that are asked for, or the space file's."""
    from sweep.search_space import load_space

    space = load_space(Task(work, 0, 0).space)
    return Task(work, trials or space.study.num_trials, epochs or space.max_epochs())


def check_same_model(task: Task) -> None:
    """AssertionError unless loop and sweep have the same images, initial weights and optimizer for one config."""
    os.environ.update(ENVIRONMENT)
    import optuna
    from fit_loop import BATCH_SIZE, WORKS, suggest

    from sweep.search_space import load_space

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    work, space = WORKS[task.work], load_space(task.space)
    params = suggest(optuna.create_study().ask(), work)
    config = space.resolve(params, seed=1)
    assert config.data == work.data
    assert config.training.batch_size == BATCH_SIZE
    assert config.training.epochs == work.epochs
    assert list(params) == list(space.parameters)
    _check_same_weights(config, params, work)


def _check_same_weights(config: Any, params: dict[str, Any], work: Any) -> None:
    import keras
    import numpy as np
    from fit_loop import build_model

    from sweep import datasets, models, optimizers

    dataset = datasets.load(config.data)
    ours = models.build_model(config, dataset.image_shape, dataset.num_classes)
    optimizer = optimizers.build_optimizer(config.optimizer, config.schedule, total_steps=1)
    keras.utils.set_random_seed(config.training.seed)
    theirs = build_model(params, work, dataset)
    assert ours.count_params() == theirs.count_params()
    assert all(np.array_equal(*pair) for pair in zip(ours.get_weights(), theirs.get_weights(), strict=True))
    assert {**optimizer.get_config(), "name": ""} == {**theirs.optimizer.get_config(), "name": ""}


def measure_round(task: Task, number: int) -> dict[str, Run]:
    """Every program once, in turn; AssertionError if their params differ."""
    runs = {}
    for name, command in PROGRAMS.items():
        with results.scratch_folder() as folder:
            runs[name] = measure(task, command(task, Path(folder) / "study.db"), Path(folder) / "study.db")
        print(f"{task.work}, round {number + 1}: {name} {runs[name].wall_s:.2f} s/trial", file=sys.stderr, flush=True)
    assert all(run.params == runs["fit"].params for run in runs.values()), "the programs trained different params"
    return runs


def measure(task: Task, command: list[str], database: Path) -> Run:
    """Run one process to its end and read its study."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    wall_s, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{process.stderr[-3000:]}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return read_run(task, database, wall_s, cpu_s)


def read_run(task: Task, database: Path, wall_s: float, cpu_s: float) -> Run:
    """Seconds for each trial, from the process and from the study."""
    import optuna

    study = optuna.load_study(study_name=task.work, storage=f"sqlite:///{database}")
    trials = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    assert len(trials) == task.trials, f"{len(trials)} of {task.trials} trials are COMPLETE"
    inside_s = statistics.median(trial.duration.total_seconds() for trial in trials if trial.duration is not None)
    return Run(
        wall_s / task.trials, cpu_s / task.trials, inside_s, study.best_value, [trial.params for trial in trials]
    )


def summarize(task: Task, rounds: list[dict[str, Run]]) -> list[list[object]]:
    """A row for each program: medians over the rounds, and its ratio to sweep within each round."""
    size = f"{task.work}, {task.trials} trials of {task.epochs} epochs"
    rows: list[list[object]] = []
    for name in PROGRAMS:
        runs = [runs[name] for runs in rounds]
        ratios = [runs[name].wall_s / runs["sweep"].wall_s for runs in rounds]
        medians = [statistics.median(getattr(run, key) for run in runs) for key in ("wall_s", "cpu_s", "inside_s")]
        shown = ("-", "-") if name == "sweep" else (_list(ratios), f"{statistics.median(ratios):.2f}")
        best = f"{max(run.best_value for run in runs):.4f}"
        rows.append([size, name, medians[0], _list([run.wall_s for run in runs]), *medians[1:], best, *shown])
    return rows


def describe_columns() -> str:
    """What stands under the table."""
    return (
        "Medians over the rounds. The programs ran in turn, each a process of its own with a fresh SQLite database; "
        "whole process: wall time from start to exit, imports, compilation and storage counted, divided by the trials; "
        "inside a trial: median of the study's trial durations. Params, initial weights and optimizers are equal, "
        "checked by the command; `fit` shuffles in its own order, so accuracies differ a little."
    )


def _list(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", nargs="+", choices=("digits", "mnist"), default=["digits", "mnist"])
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="rounds (3)")
    parser.add_argument("--trials", type=int, metavar="N", help="instead of the space file's")
    parser.add_argument("--epochs", type=int, metavar="N", help="instead of the space file's")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
