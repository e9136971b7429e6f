"""Format the lines that a user reads at the start and at the end of a sweep."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from optuna.trial import FrozenTrial, TrialState

from sweep.engines.precision import slow_precision_note
from sweep.errors import NoUsableTrial
from sweep.pareto import shown_values
from sweep.space.points import points_of, size_line
from sweep.storage import backend_of
from sweep.text import counted, shown_params
from sweep.tuning.beginning import RECHECK

if TYPE_CHECKING:
    from sweep.tuning.plan import RunPlan
    from sweep.tuning.session import Outcome
    from sweep.tuning.study import SweepStudy

SAME_SCORE = 1e-6  # as of `retrain --verify`
MOST_SHOWN = 10  # trials of a Pareto front
ROUNDING = 5e-4  # accuracies differ slightly by float32, and by folds of different sizes


def start_lines(made: "RunPlan", url: str, name: str) -> list[str]:
    """Return lines with the study, the goal, the device, the engine, and notes for the user.

    Args:
        made: The plan of the sweep.
        url: URL of the database.
        name: Name of the study.
    """
    return [line for line in _start_lines(made, url, name) if line]


def _start_lines(made: "RunPlan", url: str, name: str) -> Iterator[str]:
    space, device, probe = made.space, made.device, made.probe
    yield f"study {name} in {backend_of(url).name}; {space.goal}; space hash {space.fingerprint}"
    yield f"device: {device.description if device else _no_device(made)}"
    yield device.note if device else ""
    yield slow_precision_note(device, space.extreme_configs()) or ""
    if probe.data.image_ranges:
        yield f"images reach the model as float32 in {' or '.join(probe.data.image_ranges)}"
    yield from probe.data.notes
    yield size_line(space, made.num_trials) or ""
    yield made.choice.line()
    if probe.num_workers:
        workers = counted(probe.num_workers, "worker")
        yield f"{workers}, each with its own engine, {probe.kind_of_workers}"
    if space.is_timed and made.choice.num_lanes * probe.num_processes > 1:
        yield (
            "note: trials that train concurrently share cores, which affects their seconds; "
            "--lanes 1 --workers 0 times each trial alone"
        )


def adopted_line(study: "SweepStudy") -> str | None:
    """Return a notice for a study of another program that is resumed; None for a new one."""
    if not study.is_adopted:
        return None
    num_trials = study.write_behind.num_trials
    return (
        f"study {study.study_name} was made by another program; its {counted(num_trials, 'trial')} stay as they are, "
        "and the finished ones count towards --trials"
    )


def _no_device(made: "RunPlan") -> str:
    """Describe the device if the sweep does not set it up: for an engine without Keras, or a function that trains."""
    if not made.space.is_own_function:
        return f"none ({made.choice.engine} engine)"
    threads = made.settings.threads
    limit = f", {counted(threads, 'thread')}" if threads else ""
    return f"{'as the function chooses' if made.settings.device == 'none' else made.settings.device}{limit}"


def end_lines(outcome: "Outcome") -> list[str]:
    """Return lines with the best trial and the counts by state.

    Raises:
        NoUsableTrial: No trial is COMPLETE.
    """
    complete = [trial for trial in outcome.trials if trial.state == TrialState.COMPLETE]
    said = [_nothing_to_do(outcome)] if outcome.had_nothing_to_do else []
    counts = _counts(outcome)
    if not complete:
        name = outcome.name
        raise NoUsableTrial(f"{name}: no trial is COMPLETE: {counts}; `sweep show {name}` names causes of failure")
    return [
        *said,
        f"{outcome.name}: {counts}",
        *_best_lines(outcome, len(complete)),
        *_majority_lines(outcome, complete),
        *_recheck_lines(outcome),
    ]


def _nothing_to_do(outcome: "Outcome") -> str:
    finished = sum(trial.state.is_finished() for trial in outcome.trials)
    more = "every combination of the space has been tried" if outcome.is_exhausted else "--trials N adds more"
    return f"{outcome.name}: {counted(finished, 'trial')} finished; nothing to do, {more}"


def _counts(outcome: "Outcome") -> str:
    numbers = {state: sum(trial.state == state for trial in outcome.trials) for state in TrialState}
    text = ", ".join(f"{number} {state.name}" for state, number in numbers.items() if number)
    if outcome.is_exhausted:
        points = points_of(outcome.space)
        text += f"; all {points.count if points is not None else ''} combinations of the space were tried"
    if outcome.is_timed_out:
        text = f"the timeout was reached; run with a longer --timeout to resume ({text or 'no trials'})"
    return text


def _best_lines(outcome: "Outcome", num_complete: int) -> Iterator[str]:
    """Yield lines on the best trial, or on the first Pareto-optimal ones."""
    metrics, front = outcome.space.metrics, outcome.best
    if len(metrics) == 1:
        best = front[0]
        yield f"best: trial {best.number}, {shown_values(metrics, best)}: {shown_params(best.params)}"
        if outcome.space.function is None or outcome.space.is_own_function:
            confirm = f"`sweep confirm {outcome.name}`"
            yield f"the best score is biased upward by selection; {confirm} gives an unbiased estimate"
        return
    yield f"Pareto-optimal: {len(front)} of {num_complete} COMPLETE trials"
    for trial in front[:MOST_SHOWN]:
        yield f"  trial {trial.number}, {shown_values(metrics, trial)}: {shown_params(trial.params)}"
    if len(front) > MOST_SHOWN:
        yield f"  and {len(front) - MOST_SHOWN} more: sweep show {outcome.name}"


def _recheck_lines(outcome: "Outcome") -> Iterator[str]:
    """Whether the scores of an earlier study hold, of the trials that were run once more."""
    for trial in outcome.trials:
        recheck = trial.user_attrs.get(RECHECK)
        if not isinstance(recheck, dict) or not trial.state.is_finished():
            continue
        before, now = recheck.get("values") or [], trial.values or []
        if trial.state != TrialState.COMPLETE:
            now = []
        holds = len(before) == len(now) and all(map(partial(math.isclose, abs_tol=SAME_SCORE), before, now))
        result = "its score holds" if holds else f"its score was {before}, it is {now or trial.state.name}"
        yield f"trial {trial.number} repeats trial {recheck.get('trial')} of {recheck.get('study')}: {result}"


def _majority_lines(outcome: "Outcome", complete: Sequence[FrozenTrial]) -> Iterator[str]:
    """Yield a note if the best accuracy is that of a model that predicts the most frequent class for all images."""
    majority = outcome.settings.classes.get("majority", {})
    for number, metric in enumerate(outcome.space.metrics):
        if metric in majority and outcome.space.directions[number] == "maximize":
            name, accuracy = majority[metric]
            best = max(trial.values[number] for trial in complete)
            if best <= accuracy + ROUNDING:
                yield (
                    f"note: no trial is better than a model that always predicts class {name} ({metric} "
                    f"{accuracy:.4f}); `sweep check` counts the classes, and val_loss is a finer metric"
                )
