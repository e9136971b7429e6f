"""The programs that `packed_vs_peers.py` puts side by side: how each is started, and what it left in its folder."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from results import ROOT

BENCHMARKS = ROOT / "benchmarks"
DATABASE = "study.db"


@dataclass(frozen=True)
class Task:
    """One work at its size, and the lanes that a packed engine gets."""

    work: str
    trials: int
    epochs: int
    lanes: str
    is_adaptive: bool  # TPE and a median pruner: scores decide what is trained

    @property
    def space(self) -> Path:
        """Its space file."""
        return space_file(self.work)


@dataclass(frozen=True)
class Outcome:
    """What a program trained. `params`, by trial number, are None where it draws its own."""

    num_epochs: int
    best_value: float
    params: list[dict[str, Any]] | None = None
    num_lanes: int = 1


@dataclass(frozen=True)
class Contestant:
    """How to start it in a fresh folder, how to read that folder, and why it leaves a task out ("" if it does not)."""

    command: Callable[[Task, Path], list[str]]
    read: Callable[[Task, Path], Outcome]
    leaves_out: Callable[[Task], str] = lambda task: ""


def space_file(work: str) -> Path:
    """The space file of a work."""
    return BENCHMARKS / "spaces" / f"{work}.toml"


def fit_command(task: Task, folder: Path) -> list[str]:
    """The plain Optuna and Keras loop."""
    command = [sys.executable, str(BENCHMARKS / "fit_loop.py"), task.work, "--trials", str(task.trials)]
    return [*command, "--epochs", str(task.epochs), "--storage", _url(folder)]


def keras_tuner_command(task: Task, folder: Path) -> list[str]:
    """KerasTuner's random search."""
    command = [sys.executable, str(BENCHMARKS / "keras_tuner_loop.py"), task.work, "--trials", str(task.trials)]
    return [*command, "--epochs", str(task.epochs), "--folder", str(folder)]


def sequential_command(task: Task, folder: Path, *flags: str) -> list[str]:
    """`sweep run`, one trial after another."""
    return [*_sweep_command(task, folder), "--engine", "sequential", *flags]


def packed_command(task: Task, folder: Path, *flags: str) -> list[str]:
    """`sweep run`, many trials at once."""
    return [*_sweep_command(task, folder), "--engine", "packed", "--lanes", task.lanes, *flags]


def read_study(task: Task, folder: Path, engine: str | None = None) -> Outcome:
    """What the study in the database holds; AssertionError if trials are missing or another engine trained them."""
    import optuna
    from optuna.trial import TrialState

    study = optuna.load_study(study_name=task.work, storage=_url(folder))
    trials = study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED])
    assert len(trials) == task.trials, f"{len(trials)} of {task.trials} trials are COMPLETE or PRUNED"
    reported = sum(len(trial.intermediate_values) for trial in trials)
    num_epochs = reported or task.trials * task.epochs  # a loop that prunes nothing reports nothing
    settings = study.user_attrs.get("sweep", {})
    assert settings.get("engine") == engine, f"{settings.get('engine')} trained instead of {engine}"
    return Outcome(num_epochs, study.best_value, [trial.params for trial in trials], settings.get("num_lanes", 1))


def read_search(task: Task, folder: Path) -> Outcome:
    """What KerasTuner wrote of each trial; AssertionError if trials are missing."""
    trials = [json.loads(path.read_text()) for path in folder.glob("search/trial_*/trial.json")]
    scores = [trial["score"] for trial in trials if trial["status"] == "COMPLETED"]
    assert len(scores) == task.trials, f"{len(scores)} of {task.trials} trials are COMPLETED"
    return Outcome(task.trials * task.epochs, max(scores))


def without_keras_tuner(task: Task) -> str:
    """It may not be installed, and its random search has no pruner."""
    if find_spec("keras_tuner") is None:
        return "it is not installed; pip install -e '.[bench]'"
    return "its RandomSearch has neither TPE nor a pruner" if task.is_adaptive else ""


def only_mnist(task: Task) -> str:
    """Where less than full precision may pay."""
    return "" if task.work == "mnist" else "bfloat16 is measured on mnist"


def _sweep_command(task: Task, folder: Path) -> list[str]:
    command = [
        sys.executable,
        "-m",
        "sweep.cli",
        "run",
        str(task.space),
        "--trials",
        str(task.trials),
        "--quiet",
    ]
    return [*command, "--set", f"training.epochs={task.epochs}", "--storage", _url(folder), "--studies", str(folder)]


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / DATABASE}"


_read_packed = partial(read_study, engine="packed")
CONTESTANTS = {
    "fit": Contestant(fit_command, read_study),
    "keras-tuner": Contestant(keras_tuner_command, read_search, without_keras_tuner),
    "sequential": Contestant(sequential_command, partial(read_study, engine="sequential")),
    "packed": Contestant(packed_command, _read_packed),
    "packed-bfloat16": Contestant(
        lambda task, folder: packed_command(task, folder, "--set", 'training.precision="mixed_bfloat16"'),
        _read_packed,
        only_mnist,
    ),
}
