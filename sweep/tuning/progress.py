"""What a user sees while a sweep runs: live on a terminal (rich), plain lines elsewhere, nothing with --quiet."""

import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol, Self

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from sweep.engines.base import EpochMetrics, RunMetrics
from sweep.pareto import pareto_front, shown, shown_values
from sweep.storage.stored_trials import cause_and_error

LINES_BELOW = 4  # the lines of trials: those left out, bar, summary, cursor


class Progress(Protocol):
    """What the tuner says of a sweep as it goes."""

    def notice(self, text: str) -> None:
        """Something the user should know."""

    def trial_started(self, number: int) -> None:
        """A trial was put on a lane."""

    def epoch_done(self, number: int, metrics: RunMetrics, score: float, run: int = 1) -> None:
        """A trial ended an epoch of its run 1, 2, ..."""

    def trial_finished(self, trial: FrozenTrial) -> None:
        """A trial was told."""


class Scoreboard:
    """Counts, best score and the time that is left, from what the tuner said."""

    def __init__(
        self,
        metrics: Sequence[str],
        directions: Sequence[str],
        num_trials: int,
        epochs: int,
        trials: Sequence[FrozenTrial],
        num_runs: int = 1,
    ) -> None:
        self.metrics, self.num_trials, self.epochs, self.num_runs = metrics, num_trials, epochs, num_runs
        self._directions = [StudyDirection[direction.upper()] for direction in directions]
        self.best: list[FrozenTrial] = []  # several objectives: the Pareto-optimal trials so far
        self.num_finished = 0
        self._epochs_done: dict[int, int] = {}  # of running trials
        for trial in trials:
            if trial.state.is_finished():
                self.add(trial)
        self._num_before = self.num_finished
        self._started = time.monotonic()

    def add(self, trial: FrozenTrial) -> None:
        """Count a finished trial."""
        self.num_finished += 1
        self._epochs_done.pop(trial.number, None)
        if trial.state == TrialState.COMPLETE:
            self.best = pareto_front([*self.best, trial], self._directions)
            if len(self.metrics) == 1:
                del self.best[1:]  # of equal ones the first

    def epoch_done(self, number: int, epoch: int, run: int = 1) -> None:
        """A running trial ended so many epochs of its run: the time that is left counts them."""
        self._epochs_done[number] = (run - 1) * self.epochs + epoch

    def summary(self) -> str:
        """`3/30, best 0.9861 (trial 2), about 0:01:10 left`."""
        return f"{self.num_finished}/{self.num_trials}, {self._best()}{self._time_left()}"

    def _best(self) -> str:
        if not self.best:
            return "best none yet"
        if len(self.metrics) > 1:
            return f"{len(self.best)} Pareto-optimal"
        return f"best {shown(self.best[0].values[0])} (trial {self.best[0].number})"

    def finished_line(self, trial: FrozenTrial) -> str:
        """`trial 7 PRUNED val_accuracy 0.9132 after 6 epochs`."""
        line = f"trial {trial.number} {trial.state.name}"
        if trial.state == TrialState.FAIL:
            return f"{line} ({': '.join(cause_and_error(trial))})"
        if trial.values:
            line += f" {shown_values(self.metrics, trial)}"
        step = "epoch" if self.num_runs == 1 else "run"
        is_one = self.epochs * self.num_runs == 1
        return line if is_one else f"{line} after {len(trial.intermediate_values)} {step}s"

    def _time_left(self) -> str:
        running = sum(self._epochs_done.values()) / (self.epochs * self.num_runs)
        done, left = self.num_finished - self._num_before + running, self.num_trials - self.num_finished - running
        if not done or left <= 0:
            return ""
        seconds = round((time.monotonic() - self._started) / done * left)
        return f", about {timedelta(seconds=seconds)} left"


class QuietProgress:
    """Says only notices, on stderr."""

    def notice(self, text: str) -> None:
        """Print it."""
        print(text, file=sys.stderr)

    def trial_started(self, number: int) -> None:
        """Nothing."""

    def epoch_done(self, number: int, metrics: RunMetrics, score: float, run: int = 1) -> None:
        """Nothing."""

    def trial_finished(self, trial: FrozenTrial) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class PlainProgress(QuietProgress):
    """A line for each finished trial."""

    def __init__(self, scoreboard: Scoreboard) -> None:
        self._scoreboard = scoreboard

    def notice(self, text: str) -> None:
        """Print it."""
        print(text, flush=True)

    def epoch_done(self, number: int, metrics: RunMetrics, score: float, run: int = 1) -> None:
        """Nothing is printed."""
        self._scoreboard.epoch_done(number, metrics.epoch, run)

    def trial_finished(self, trial: FrozenTrial) -> None:
        """Print the trial and the summary."""
        self._scoreboard.add(trial)
        print(f"{self._scoreboard.finished_line(trial)}  [{self._scoreboard.summary()}]", flush=True)


class LiveProgress(PlainProgress):
    """Finished trials scroll by above a bar and a line for each running trial."""

    def __init__(self, scoreboard: Scoreboard, console: Console) -> None:
        super().__init__(scoreboard)
        self._console = console
        self._bar = RichProgress(TextColumn("{task.description}"), BarColumn(), console=console)  # counts stand below
        self._task = self._bar.add_task("trials", total=scoreboard.num_trials, completed=scoreboard.num_finished)
        self._lines: dict[int, str] = {}
        self._live = Live(get_renderable=self._view, console=console, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.clear()
        self._live.stop()

    def notice(self, text: str) -> None:
        """Print it above the bar."""
        self._console.print(Text(text))

    def trial_started(self, number: int) -> None:
        """A new line."""
        self._lines[number] = f"trial {number}: starting"

    def epoch_done(self, number: int, metrics: RunMetrics, score: float, run: int = 1) -> None:
        """Run where there are several, epoch, score, rate and seconds of the trial."""
        super().epoch_done(number, metrics, score, run)
        scoreboard = self._scoreboard
        place = f"run {run}/{scoreboard.num_runs}, " if scoreboard.num_runs > 1 else ""
        rate = f"learning rate {metrics.learning_rate:.3g}  " if isinstance(metrics, EpochMetrics) else ""
        self._lines[number] = (
            f"trial {number}: {place}epoch {metrics.epoch}/{scoreboard.epochs}  "
            f"{scoreboard.metrics[0]} {shown(score)}  {rate}{metrics.seconds:.2f} s"
        )

    def trial_finished(self, trial: FrozenTrial) -> None:
        """The line scrolls up."""
        self._scoreboard.add(trial)
        self._lines.pop(trial.number, None)
        self._console.print(Text(self._scoreboard.finished_line(trial)))
        self._bar.update(self._task, completed=self._scoreboard.num_finished)

    def _view(self) -> Group:
        """Made when the screen is drawn, not at each epoch of each lane; lanes beyond the screen are counted."""
        room = max(1, self._console.height - LINES_BELOW)
        lines = [Text(line) for line in list(self._lines.values())[:room]]
        if len(self._lines) > room:
            lines.append(Text(f"and {len(self._lines) - room} more running"))
        return Group(*lines, self._bar, Text(self._scoreboard.summary()))


def make_progress(scoreboard: Scoreboard, *, quiet: bool) -> QuietProgress:
    """Live on a terminal, plain lines elsewhere, quiet on demand. A context manager."""
    if quiet:
        return QuietProgress()
    console = Console()
    return LiveProgress(scoreboard, console) if console.is_terminal else PlainProgress(scoreboard)
