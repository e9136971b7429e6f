"""Studies of one or several objectives as they are read: the objectives' names, and which trials no other one beats."""

from collections.abc import Sequence
from itertools import zip_longest
from statistics import fmean, stdev
from typing import Any

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

RUN_VALUES = "run_values"  # the user attribute of a trial of several runs: the values of each, by objective


def metric_names(user_attrs: dict[str, Any], num_objectives: int) -> list[str]:
    """Return the name of each objective as `sweep run` stored it, else as Optuna names the columns of its tables."""
    if num_objectives == 1:
        return [str(user_attrs.get("metric", "value"))]
    settings: Any = user_attrs.get("sweep")
    space = settings.get("space") if isinstance(settings, dict) else None
    names = space.get("metrics") if isinstance(space, dict) else None
    if isinstance(names, list) and len(names) == num_objectives:
        return [str(name) for name in names]
    return [f"values_{number}" for number in range(num_objectives)]


def losses(values: Sequence[float], directions: Sequence[StudyDirection]) -> tuple[float, ...]:
    """Return the values with signs such that lower is better."""
    pairs = zip(values, directions, strict=True)
    return tuple(-value if direction == StudyDirection.MAXIMIZE else value for value, direction in pairs)


def best_first(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> list[FrozenTrial]:
    """Return COMPLETE trials by value, ties by number; with multiple objectives only the Pareto-optimal ones."""
    if len(directions) > 1:
        return pareto_front(trials, directions)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and trial.values]
    return sorted(complete, key=lambda trial: (losses(trial.values, directions), trial.number))


def pareto_front(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> list[FrozenTrial]:
    """Return the Pareto-optimal COMPLETE trials, best in the first objective first; ties by number.

    A trial is Pareto-optimal if no other one is at least as good in every objective and better in one.
    """
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and trial.values]
    complete.sort(key=lambda trial: trial.number)
    return [complete[index] for index in unbeaten([losses(trial.values, directions) for trial in complete])]


def unbeaten(points: Sequence[tuple[float, ...]]) -> list[int]:
    """Return the indices of the non-dominated points (lower is better), in the order of the points.

    >>> unbeaten([(2, 1), (1, 3), (2, 2)])
    [1, 0]
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda index: points[index]):  # none is beaten by a later one
        rivals = front if len(points[index]) > 2 else front[-1:]  # of two objectives the last has the best second one
        if not any(_beats(points[other], points[index]) for other in rivals):
            front.append(index)
    return front


def run_values(trial: FrozenTrial) -> list[list[float]]:
    """Return the values of each run (fold or repeat) of a COMPLETE trial, by objective; empty for a single run.

    Trials of earlier versions have no attribute; they reported the first objective of each run.
    """
    stored = trial.user_attrs.get(RUN_VALUES)
    if trial.state != TrialState.COMPLETE or not trial.values:
        return []
    if isinstance(stored, list) and all(_has_values(run, len(trial.values)) for run in stored):
        return stored
    history = trial.user_attrs.get("history")
    had_runs = isinstance(history, list) and any(isinstance(epoch, dict) and "run" in epoch for epoch in history)
    reported = trial.intermediate_values
    return [[reported[step]] for step in sorted(reported)] if had_runs else []


def deviations(trial: FrozenTrial) -> list[float]:
    """Return the standard deviation over the runs of a trial, for each objective it is known of."""
    runs = run_values(trial)
    return [stdev(column) for column in zip(*runs, strict=True)] if len(runs) > 1 else []


def shown_scores(trial: FrozenTrial) -> list[str]:
    """Format each value of a trial, with the standard deviation over its runs if it has several."""
    spreads = [f" +- {shown(spread)}" for spread in deviations(trial)]
    values = [shown(value) for value in trial.values or ()]
    return [value + spread for value, spread in zip_longest(values, spreads, fillvalue="")]


def shown_values(metrics: Sequence[str], trial: FrozenTrial) -> str:
    """Format values as `val_accuracy 0.9861 +- 0.0032, seconds 0.3120`; "" without values."""
    return ", ".join(f"{metric} {score}" for metric, score in zip(metrics, shown_scores(trial), strict=False))


def only_value(trial: FrozenTrial) -> float | None:
    """Return the value of a trial with one objective; None if it has none, or several."""
    return trial.values[0] if trial.values and len(trial.values) == 1 else None


def shown(value: float) -> str:
    """Format a value with four decimals, as an accuracy, or with four digits if it is much smaller or larger.

    >>> shown(0.98614), shown(2.07e-12), shown(0.0)
    ('0.9861', '2.07e-12', '0.0000')
    """
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.4g}"


def shown_mean(values: Sequence[float]) -> str:
    """Format the mean of some values, with their standard deviation if there are several.

    >>> shown_mean([0.5]), shown_mean([0.5, 0.7])
    ('0.5000', '0.6000 +- 0.1414')
    """
    spread = f" +- {shown(stdev(values))}" if len(values) > 1 else ""
    return shown(fmean(values)) + spread


def _has_values(run: Any, count: int) -> bool:
    return isinstance(run, list) and len(run) == count and all(isinstance(value, int | float) for value in run)


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(mine <= theirs for mine, theirs in zip(one, other, strict=True))
