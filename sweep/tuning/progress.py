"""Show the progress of a sweep: live on a terminal (rich), plain lines elsewhere, nothing with --quiet."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.util import find_spec

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from sweep.pareto import pareto_front, shown, shown_values
from sweep.storage.stored_trials import cause_and_error
from sweep.tuning.callback import Callback, SweepInfo

NOTEBOOK_S = 0.5  # shortest time between two updates in a notebook
LINES_BELOW = 4  # number of omitted trials, bar, summary, cursor


class Progress(Callback):
    """Base class of callbacks that show progress. If stdout cannot be written, the sweep ends."""

    ends_sweep = True

    def notice(self, text: str) -> None:
        """Print a notice on stderr."""
        print(text, file=sys.stderr)


class Scoreboard:
    """Compute counts, best score and remaining time from the events of a sweep.

    Arguments are as in `SweepInfo`.

    Attributes:
        best: The best trial so far, or the Pareto-optimal ones.
        num_finished: Number of finished trials so far.
    """

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
        self.best: list[FrozenTrial] = []
        self.num_finished = 0
        self._epochs_done: dict[int, int] = {}  # by number, for running trials
        for trial in trials:
            if trial.state.is_finished():
                self.add(trial)
        self._num_before = self.num_finished
        self._started = time.monotonic()

    @classmethod
    def of(cls, info: SweepInfo) -> "Scoreboard":
        """Return the scoreboard of a sweep that starts."""
        return cls(info.metrics, info.directions, info.num_trials, info.epochs, info.trials, info.num_runs)

    @property
    def is_done(self) -> bool:
        """Return whether all trials are finished."""
        return self.num_finished >= self.num_trials

    def add(self, trial: FrozenTrial) -> None:
        """Count a finished trial."""
        self.num_finished += 1
        self._note_epochs(len(trial.intermediate_values))
        self._epochs_done.pop(trial.number, None)
        if trial.state == TrialState.COMPLETE:
            self.best = pareto_front([*self.best, trial], self._directions)
            if len(self.metrics) == 1:
                del self.best[1:]  # keep the first of several equal ones

    def epoch_done(self, number: int, epoch: int, run: int = 1) -> None:
        """Note that a running trial completed an epoch, for the remaining time; epoch and run count from 1."""
        self._note_epochs(epoch)
        self._epochs_done[number] = (run - 1) * self.epochs + epoch

    def _note_epochs(self, num_epochs: int) -> None:
        """Increase the expected number of epochs, which is unknown in advance for a user's own training loop."""
        if self.num_runs == 1:
            self.epochs = max(self.epochs, num_epochs)

    def summary(self) -> str:
        """Return a summary such as `3/30, best 0.9861 (trial 2), about 0:01:10 left`."""
        return f"{self.num_finished}/{self.num_trials}, {self._best()}{self._time_left()}"

    def _best(self) -> str:
        if not self.best:
            return "best none yet"
        if len(self.metrics) > 1:
            return f"{len(self.best)} Pareto-optimal"
        return f"best {shown(self.best[0].values[0])} (trial {self.best[0].number})"

    def finished_line(self, trial: FrozenTrial) -> str:
        """Return a line such as `trial 7 PRUNED val_accuracy 0.9132 after 6 epochs`."""
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


class QuietProgress(Progress):
    """Print notices only."""


class PlainProgress(Progress):
    """Print a line for each finished trial, without control characters."""

    def __init__(self) -> None:
        self._scoreboard: Scoreboard | None = None

    @property
    def scoreboard(self) -> Scoreboard:
        """Return the scoreboard of the sweep that has started."""
        assert self._scoreboard is not None, "on_sweep_start comes first"
        return self._scoreboard

    def notice(self, text: str) -> None:
        """Print a notice on stdout."""
        print(text, flush=True)

    def on_sweep_start(self, study: optuna.Study, info: SweepInfo) -> None:
        """Create the scoreboard."""
        self._scoreboard = Scoreboard.of(info)

    def on_epoch_end(self, number: int, epoch: int, logs: Mapping[str, float], run: int = 1) -> None:
        """Update the remaining time."""
        self.scoreboard.epoch_done(number, epoch, run)

    def on_trial_end(self, trial: FrozenTrial) -> None:
        """Print the trial and the summary."""
        self.scoreboard.add(trial)
        self.notice(f"{self.scoreboard.finished_line(trial)}  [{self.scoreboard.summary()}]")


class LiveProgress(PlainProgress):
    """Print finished trials above a progress bar and a line for each running trial."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._bar = RichProgress(TextColumn("{task.description}"), BarColumn(), console=console)
        self._task = self._bar.add_task("trials")
        self._lines: dict[int, str] = {}
        self._live: Live | None = None
        self._next_s = 0.0  # time of the next update in a notebook

    def notice(self, text: str) -> None:
        """Print a notice above the bar."""
        self._console.print(Text(text))

    def on_sweep_start(self, study: optuna.Study, info: SweepInfo) -> None:
        """Draw the bar."""
        super().on_sweep_start(study, info)
        self._bar.update(self._task, total=info.num_trials, completed=self.scoreboard.num_finished)
        is_terminal = not self._console.is_jupyter  # in a notebook, automatic updates would capture other output
        self._live = Live(
            get_renderable=self._view, console=self._console, auto_refresh=is_terminal, refresh_per_second=8
        )
        self._live.start()

    def on_sweep_end(self, study: optuna.Study) -> None:
        """Stop updating, with the bar in its final state."""
        self._lines.clear()
        if self._live is not None:
            self._live.stop()

    def on_trial_start(self, trial: FrozenTrial) -> None:
        """Add a line for the trial."""
        self._lines[trial.number] = f"trial {trial.number}: starting"

    def on_epoch_end(self, number: int, epoch: int, logs: Mapping[str, float], run: int = 1) -> None:
        """Update the trial's line: run if there are several, epoch, score, learning rate and seconds."""
        super().on_epoch_end(number, epoch, logs, run)
        scoreboard = self.scoreboard
        place = f"run {run}/{scoreboard.num_runs}, " if scoreboard.num_runs > 1 else ""
        metric = scoreboard.metrics[0]
        rate = f"learning rate {logs['learning_rate']:.3g}  " if "learning_rate" in logs else ""
        self._lines[number] = (
            f"trial {number}: {place}epoch {epoch}/{scoreboard.epochs}  "
            f"{metric} {shown(logs[metric])}  {rate}{logs['seconds']:.2f} s"
        )
        self._draw_in_notebook()

    def on_trial_end(self, trial: FrozenTrial) -> None:
        """Print the trial's final line above the live view."""
        self.scoreboard.add(trial)
        self._lines.pop(trial.number, None)
        self.notice(self.scoreboard.finished_line(trial))
        self._bar.update(self._task, completed=self.scoreboard.num_finished)
        self._draw_in_notebook()

    def _draw_in_notebook(self) -> None:
        if self._live is not None and self._console.is_jupyter and time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + NOTEBOOK_S
            self._live.refresh()

    def _view(self) -> Group:
        """Render the view. Only the number of trials that do not fit on the screen is shown."""
        room = max(1, self._console.height - LINES_BELOW)
        lines = [Text(line) for line in list(self._lines.values())[:room]]
        if len(self._lines) > room:
            lines.append(Text(f"and {len(self._lines) - room} more running"))
        return Group(*lines, self._bar, Text(self.scoreboard.summary()))


def make_progress(*, quiet: bool = False) -> Progress:
    """Return live progress for a terminal or a notebook, plain lines elsewhere, and notices only if `quiet`."""
    if quiet:
        return QuietProgress()
    console = Console()
    if console.is_jupyter:
        return LiveProgress(console) if find_spec("ipywidgets") else PlainProgress()  # rich needs ipywidgets
    return LiveProgress(console) if console.is_terminal and moves_cursor() else PlainProgress()


def moves_cursor() -> bool:
    """Return whether stdout is a terminal whose lines can be redrawn.

    Rich considers stdout a terminal if FORCE_COLOR is set, but notebooks and CI set it too. In a notebook's `!command`
    stdout is a terminal, but the notebook shows its output as plain text.
    """
    in_notebook = "JPY_PARENT_PID" in os.environ or "inline" in os.environ.get("MPLBACKEND", "")
    return sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown") and not in_notebook
