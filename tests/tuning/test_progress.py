"""What is said while a sweep runs."""

import io
import re

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.console import Console

from sweep.tuning.callback import SweepInfo
from sweep.tuning.progress import LiveProgress, PlainProgress, Scoreboard, make_progress

STUDY = optuna.create_study()


def finished(number: int) -> FrozenTrial:
    trial = create_trial(state=TrialState.COMPLETE, value=0.9)
    trial.number = number
    return trial


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


def live(console: Console, info: SweepInfo) -> LiveProgress:
    progress = LiveProgress(console)
    progress.on_sweep_start(STUDY, info)
    return progress


def test_more_lanes_than_the_screen_has_lines_are_counted_and_the_bar_stays() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=12)
    progress = live(console, SweepInfo("study", ["val_accuracy"], ["maximize"], 200, 10))
    for number in range(100):
        progress.on_trial_start(finished(number))
        progress.on_epoch_end(number, 1, {"val_accuracy": 0.7, "learning_rate": 0.001, "seconds": 0.1})
    console.print(progress._view())
    progress.on_sweep_end(STUDY)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "trial 7: epoch 1/10" in shown
    assert "and 92 more running" in shown
    assert "0/200" in shown


def test_a_function_of_two_values_has_no_learning_rate_and_no_best_trial() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=12)
    progress = live(console, SweepInfo("study", ["values_0", "values_1"], ["minimize", "maximize"], 9, 1))
    for number, values in enumerate(([1.0, 1.0], [2.0, 2.0], [2.0, 1.0])):
        trial = create_trial(values=values)
        trial.number = number
        progress.on_trial_start(trial)
        progress.on_epoch_end(number, 1, {"values_0": values[0], "values_1": values[1], "seconds": 0.1})
        console.print(progress._view())
        progress.on_trial_end(trial)
    progress.on_sweep_end(STUDY)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "trial 1: epoch 1/1  values_0 2.0000  0.10 s" in shown
    assert "trial 1 COMPLETE values_0 2.0000, values_1 2.0000" in shown
    assert [trial.number for trial in progress.scoreboard.best] == [0, 1]
    assert "3/9, 2 Pareto-optimal" in progress.scoreboard.summary()


class Screen(io.StringIO):
    """Says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("output", "environment", "expected"),
    [
        (Screen(), {"TERM": "xterm"}, LiveProgress),
        (Screen(), {"TERM": "dumb"}, PlainProgress),
        (io.StringIO(), {"TERM": "xterm", "FORCE_COLOR": "1"}, PlainProgress),
        (Screen(), {"TERM": "xterm-color", "FORCE_COLOR": "1", "JPY_PARENT_PID": "17"}, PlainProgress),
    ],
    ids=["terminal", "no cursor", "pipe of a CI", "a notebook's !command"],
)
def test_what_cannot_be_drawn_anew_is_plain_lines(
    monkeypatch: pytest.MonkeyPatch, output: io.StringIO, environment: dict[str, str], expected: type
) -> None:
    for name in ("FORCE_COLOR", "JPY_PARENT_PID", "MPLBACKEND"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", output)
    assert type(make_progress()) is expected


def test_plain_lines_have_counts_and_best_and_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainProgress()
    progress.on_sweep_start(STUDY, SweepInfo("study", ["val_accuracy"], ["maximize"], 8, 10))
    for number in range(3):
        progress.on_trial_start(finished(number))
        progress.on_epoch_end(number, 1, {"val_accuracy": 0.9})
        progress.on_trial_end(finished(number))
    progress.on_sweep_end(STUDY)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "trial 2 COMPLETE" in lines[2]
    assert "3/8, best 0.9000 (trial 0)" in lines[2]
    assert all(line.isprintable() for line in lines)
