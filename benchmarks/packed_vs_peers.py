"""Programs side by side on the same work: the packed engine, the sequential one, a `fit` loop and KerasTuner.

    python benchmarks/packed_vs_peers.py [--work digits mnist digits_widths] [--contestants fit packed] [--repeats 3]

Each program runs as a process of its own, in turn (fit, keras-tuner, ..., packed, fit, ...), on the CPU, in a fresh
folder. Measured of each process: wall time, CPU time and peak memory (imports, data, compilation and storage counted),
in total and divided by the trials. A ratio above 1 says that the packed engine is faster.
Checked first: all build the same weights and optimizer. After each round: Optuna's random sampler gave all the same
params. `contestants.py` has their command lines.
"""

import argparse
import os
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import results
from contestants import CONTESTANTS, Outcome, Task, space_file
from processes import Usage, run_measured

ENVIRONMENT = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
WORKS = ("digits", "digits_same", "digits_widths", "mnist")
DEFAULT_WORKS = ["digits", "mnist", "digits_widths"]
DEFAULT_CONTESTANTS = ["fit", "keras-tuner", "sequential", "packed"]
MORE_PACKAGES = {"keras-tuner": "keras-tuner"}


@dataclass(frozen=True)
class Run:
    """One process."""

    usage: Usage
    outcome: Outcome


Round = dict[str, Run]  # by contestant


def main() -> None:
    """Check and measure every work, then append one table; what was measured is kept if a later work fails."""
    options = _parse_arguments()
    os.environ.update(ENVIRONMENT)  # the checks build models in this process
    reference = "packed" if "packed" in options.contestants else options.contestants[-1]
    packages = [MORE_PACKAGES[name] for name in options.contestants if name in MORE_PACKAGES and _is_there(name)]
    machine = results.describe_machine(more_packages=packages)
    rows: list[list[object]] = []
    try:
        for work in options.work:
            if has_data(work):
                rows += measure_work(work, options, reference)
    finally:
        if rows:
            title = f"Programs side by side, {options.repeats} rounds"
            table = results.table(describe_header(reference), rows)
            results.append(options.out, title, machine, table, describe_columns(reference))


def has_data(work: str) -> bool:
    """Whether the work's images are there; says so if not."""
    if work == "mnist" and not os.environ.get("SWEEP_DATA"):
        _say("mnist: skipped, as SWEEP_DATA is not set; set it to a folder that holds mnist/")
        return False
    return True


def measure_work(work: str, options: argparse.Namespace, reference: str) -> list[list[object]]:
    """The rows of one work."""
    task = settle_task(work, options)
    names = [name for name in options.contestants if takes_part(name, task)]
    check_same_work(task, with_packed="packed" in names)
    return summarize(task, [measure_round(task, names, number) for number in range(options.repeats)], reference)


def settle_task(work: str, options: argparse.Namespace) -> Task:
    """The numbers of trials and epochs that are asked for, or the space file's."""
    from fit_loop import WORKS

    from sweep.space.file import load_space

    space = load_space(space_file(work))
    trials, epochs = options.trials or space.study.num_trials, options.epochs or space.max_epochs()
    return Task(work, trials, epochs, options.lanes, WORKS[work].is_adaptive)


def takes_part(name: str, task: Task) -> bool:
    """Whether the contestant takes the task; says so if not."""
    reason = CONTESTANTS[name].leaves_out(task)
    if reason:
        _say(f"{task.work}: {name} is left out: {reason}")
    return not reason


def check_same_work(task: Task, *, with_packed: bool) -> None:
    """AssertionError unless loop, space file and engines start from the same trials."""
    import same_trials
    from fit_loop import WORKS

    same_trials.check_same_work(WORKS[task.work], task.space, with_packed=with_packed)


def measure_round(task: Task, names: list[str], number: int) -> Round:
    """Every program once, in turn; AssertionError if their params differ where nothing but the seed decides them."""
    runs = {}
    for name in names:
        with results.scratch_folder() as folder:
            usage = run_measured(CONTESTANTS[name].command(task, Path(folder)), ENVIRONMENT)
            runs[name] = Run(usage, CONTESTANTS[name].read(task, Path(folder)))
        _say(f"{task.work}, round {number + 1}: {name} {usage.wall_s / task.trials:.2f} s/trial")
    drawn = [run.outcome.params for run in runs.values() if run.outcome.params is not None]
    assert task.is_adaptive or all(params == drawn[0] for params in drawn), "the programs trained different params"
    return runs


def summarize(task: Task, rounds: list[Round], reference: str) -> list[list[object]]:
    """A row for each program: medians over the rounds, and its ratio to the reference within each round."""
    size = f"{task.work}, {task.trials} trials of {task.epochs} epochs"
    return [[size, *summarize_program(task, name, rounds, reference)] for name in rounds[0]]


def summarize_program(task: Task, name: str, rounds: list[Round], reference: str) -> list[object]:
    """The row without the work."""
    usages, outcomes = [runs[name].usage for runs in rounds], [runs[name].outcome for runs in rounds]
    lanes = outcomes[0].num_lanes
    wall_s, cpu_s, peak_mb = (
        statistics.median(getattr(usage, key) for usage in usages) for key in ("wall_s", "cpu_s", "peak_mb")
    )
    each = _list([usage.wall_s / task.trials for usage in usages])
    ratios = [runs[name].usage.wall_s / runs[reference].usage.wall_s for runs in rounds if reference in runs]
    shown = [_list(ratios), f"{statistics.median(ratios):.2f}"] if ratios and name != reference else ["-", "-"]
    epochs = ", ".join(str(number) for number in sorted({outcome.num_epochs for outcome in outcomes}))
    best = f"{max(outcome.best_value for outcome in outcomes):.4f}"
    label = f"{name}, {lanes} lanes" if lanes > 1 else name
    return [label, wall_s, wall_s / task.trials, each, cpu_s / task.trials, peak_mb, epochs, best, *shown]


def describe_header(reference: str) -> tuple[str, ...]:
    """The names of the columns."""
    measured = ("process s", "s/trial", "of each run", "CPU s/trial", "peak memory MB")
    ratios = (f"wall / {reference}, of each round", "median ratio")
    return ("work", "program", *measured, "epochs trained", "best val_accuracy", *ratios)


def describe_columns(reference: str) -> str:
    """What stands under the table."""
    return (
        "Medians over the rounds. The programs ran in turn, each a process of its own in a fresh folder; wall time "
        "from start to exit, imports, compilation and storage counted; of each run: s/trial; a ratio above 1 says that "
        f"{reference} is faster. Initial weights and optimizers are equal, checked by the command, and so are the "
        "params of the random sampler. keras-tuner draws the same number of trials from the same space itself; its "
        "score is a trial's best epoch, the others' the last. digits_widths: scores decide what TPE draws and what is "
        "pruned, so the programs train different trials and numbers of epochs. `fit` and KerasTuner shuffle in their "
        "own order, so accuracies differ a little."
    )


def _is_there(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name.replace("-", "_")) is not None


def _list(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", nargs="+", choices=WORKS, default=DEFAULT_WORKS)
    parser.add_argument("--contestants", nargs="+", choices=CONTESTANTS, default=DEFAULT_CONTESTANTS)
    parser.add_argument("--lanes", default="auto", metavar="K|auto", help="of the packed engine (auto)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="rounds (3)")
    parser.add_argument("--trials", type=int, metavar="N", help="instead of the space file's")
    parser.add_argument("--epochs", type=int, metavar="N", help="instead of the space file's")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
