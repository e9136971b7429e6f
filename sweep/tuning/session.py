"""What `sweep run` does once its settings are settled: make the engine, run the tuner; say how it starts and ends."""

import argparse
import gc
from typing import Any

from optuna.trial import TrialState

from sweep.engines.precision import slow_precision_note
from sweep.engines.registry import make_engine
from sweep.errors import NoUsableTrial
from sweep.executors.base import Executor
from sweep.executors.in_process import InProcessExecutor
from sweep.executors.pool import Workers
from sweep.pareto import pareto_front, shown_values
from sweep.space.points import points_of, size_line
from sweep.space.space import Space
from sweep.storage import backend_of
from sweep.system.interruption import Interruption
from sweep.text import counted, shown_params
from sweep.tuning.limits import Limits
from sweep.tuning.plan import Settled
from sweep.tuning.progress import Scoreboard, make_progress
from sweep.tuning.study import Settings, SweepStudy
from sweep.tuning.tuner import Tuner

MOST_SHOWN = 10  # of a Pareto front
ROUNDING = 5e-4  # of an accuracy: float32, and folds of which some have an image more


def run_to_limits(
    options: argparse.Namespace,
    space: Space,
    study: SweepStudy,
    settings: Settings,
    interruption: Interruption,
    workers: Workers | None = None,
) -> None:
    """Run the tuner until a limit is reached, with progress; NoUsableTrial if nothing came of it.

    The engine is made in the workers, or here without any.
    """
    limits = Limits(options.trials or space.study.num_trials, options.timeout, options.max_failures)
    scoreboard = Scoreboard.of(study.info(limits.num_trials))
    if scoreboard.is_done:
        more = "--trials N asks for more" if study.num_left() != 0 else "every point of the space has been tried"
        print(f"{study.study_name}: {scoreboard.summary()}; nothing to do, {more}")
        _print_end(study, space, settings)
        return
    executor = make_executor(options, space, settings, interruption, workers)
    progress = make_progress(quiet=options.quiet)
    is_timed_out = Tuner(study, space, executor, limits, progress, settings.seed, interruption).run()
    _print_end(study, space, settings, is_timed_out=is_timed_out)


def make_executor(
    options: argparse.Namespace,
    space: Space,
    settings: Settings,
    interruption: Interruption,
    workers: Workers | None = None,
) -> Executor:
    """Of the workers, or with an engine in this process."""
    name, num_lanes, threads, widest = settings.engine, settings.num_lanes, settings.threads, space.widest()
    if workers is not None:
        workers.make(name, num_lanes, threads, widest)
        return workers
    gc.freeze()  # Keras collects garbage before each model: what the imports made need not be looked at again
    engine = make_engine(name, num_lanes, threads, interruption.check, widest)
    return InProcessExecutor(engine, options.trial_timeout)


def print_start(space: Space, url: str, name: str, settled: Settled, num_trials: int) -> None:
    """Where the study is, what is sought, on what device and engine, and what the user should know of it."""
    device, num_workers = settled.device, settled.settings.num_workers
    print(f"study {name} in {backend_of(url).name}; {space.goal}; space {space.fingerprint}")
    print(f"device: {device.description if device else f'none ({settled.choice.engine} engine)'}")
    for note in (device.note if device else "", slow_precision_note(device, space.extreme_configs())):
        if note:
            print(note)
    if settled.data is not None:
        print(f"images reach the model as float32 in {' or '.join(settled.data.image_ranges)}")
        print("".join(f"{note}\n" for note in settled.data.notes), end="")
    size = size_line(space, num_trials)
    if size is not None:
        print(size)
    print(settled.choice.line())
    if num_workers:
        print(f"{counted(num_workers, 'worker')}, each with such an engine of its own, {settled.kind_of_workers}")
    if space.is_timed and settled.choice.num_lanes * max(1, num_workers) > 1:
        print(
            "note: seconds of trials that train side by side are of shared cores; "
            "--lanes 1 --workers 0 times each by itself"
        )


def _print_end(study: SweepStudy, space: Space, settings: Settings, *, is_timed_out: bool = False) -> None:
    """Best trial and counts; NoUsableTrial if none is COMPLETE."""
    counts = {state: len(study.frozen_trials(state)) for state in TrialState}
    shown = ", ".join(f"{number} {state.name}" for state, number in counts.items() if number)
    if study.num_left() == 0:
        points = points_of(space)
        shown += f"; all {points.count if points is not None else ''} points of the space were tried"
    if is_timed_out:
        shown = f"the time is up, a longer --timeout goes on ({shown or 'no trials'})"
    if not counts[TrialState.COMPLETE]:
        name = study.study_name
        raise NoUsableTrial(f"{name}: no trial is COMPLETE: {shown}; `sweep show {name}` names causes of failure")
    print(f"{study.study_name}: {shown}")
    _print_best(study, space)
    _print_no_better_than_majority(study, space, settings.classes.get("majority", {}))


def _print_best(study: SweepStudy, space: Space) -> None:
    """The best trial, or the Pareto-optimal ones, of which there may be many."""
    if len(space.metrics) == 1:
        best = study.best_trial
        print(f"best: trial {best.number}, {shown_values(space.metrics, best)}: {shown_params(best.params)}")
        if space.function is None:
            print(f"a score that was chosen promises too much; `sweep confirm {study.study_name}` says what to expect")
        return
    front = pareto_front(study.frozen_trials(), study.directions)
    print(f"Pareto-optimal: {len(front)} of {len(study.frozen_trials(TrialState.COMPLETE))} COMPLETE trials")
    for trial in front[:MOST_SHOWN]:
        print(f"  trial {trial.number}, {shown_values(space.metrics, trial)}: {shown_params(trial.params)}")
    if len(front) > MOST_SHOWN:
        print(f"  and {len(front) - MOST_SHOWN} more: sweep show {study.study_name}")


def _print_no_better_than_majority(study: SweepStudy, space: Space, majority: dict[str, Any]) -> None:
    """Where the highest accuracy of all trials is what a model has that answers one class for all images."""
    complete = study.frozen_trials(TrialState.COMPLETE)
    for number, metric in enumerate(space.metrics):
        if metric in majority and space.directions[number] == "maximize":
            name, accuracy = majority[metric]
            best = max(trial.values[number] for trial in complete)
            if best <= accuracy + ROUNDING:
                print(
                    f"note: no trial is better than a model that always answers class {name} ({metric} "
                    f"{accuracy:.4f}); `sweep check` counts the classes, and val_loss is a finer metric"
                )
