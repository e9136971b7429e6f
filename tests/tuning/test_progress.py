"""What is said while a sweep runs."""

import io
import re

from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.console import Console

from sweep.engines.base import EpochMetrics, FunctionValues
from sweep.tuning.progress import LiveProgress, Scoreboard


def finished(number: int) -> FrozenTrial:
    trial = create_trial(state=TrialState.COMPLETE, value=0.9)
    trial.number = number
    return trial


def epoch(number: int) -> EpochMetrics:
    return EpochMetrics(number, 0.5, 0.8, 0.6, 0.7, learning_rate=0.001, seconds=0.1)


def seconds_left(scoreboard: Scoreboard) -> int:
    found = re.search(r"about (\d+):(\d+):(\d+) left", scoreboard.summary())
    assert found is not None
    hours, minutes, seconds = map(int, found.groups())
    return 3600 * hours + 60 * minutes + seconds


def test_time_left_counts_the_epochs_of_all_running_trials() -> None:
    """When the first of 4 lanes ends, half of 8 trials is nearly done: not a seventh."""
    scoreboard = Scoreboard(["val_accuracy"], ["maximize"], 8, 10, [])
    scoreboard._started -= 100
    for lane in range(4):
        scoreboard.epoch_done(lane, 10)
    scoreboard.add(finished(0))
    assert 99 <= seconds_left(scoreboard) <= 102


def test_more_lanes_than_the_screen_has_lines_are_counted_and_the_bar_stays() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=12)
    scoreboard = Scoreboard(["val_accuracy"], ["maximize"], 200, 10, [])
    with LiveProgress(scoreboard, console) as progress:
        for number in range(100):
            progress.trial_started(number)
            progress.epoch_done(number, epoch(1), 0.7)
        console.print(progress._view())
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "trial 7: epoch 1/10" in shown
    assert "and 92 more running" in shown
    assert "0/200" in shown


def test_a_function_of_two_values_has_no_learning_rate_and_no_best_trial() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=12)
    scoreboard = Scoreboard(["values_0", "values_1"], ["minimize", "maximize"], 9, 1, [])
    with LiveProgress(scoreboard, console) as progress:
        for number, values in enumerate(([1.0, 1.0], [2.0, 2.0], [2.0, 1.0])):
            progress.trial_started(number)
            progress.epoch_done(number, FunctionValues(tuple(values), 0.1), values[0])
            console.print(progress._view())
            trial = create_trial(values=values)
            trial.number = number
            progress.trial_finished(trial)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "trial 1: epoch 1/1  values_0 2.0000  0.10 s" in shown
    assert "trial 1 COMPLETE values_0 2.0000, values_1 2.0000" in shown
    assert [trial.number for trial in scoreboard.best] == [0, 1]
    assert "3/9, 2 Pareto-optimal" in scoreboard.summary()
