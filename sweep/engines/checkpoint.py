"""A training run's whole state in one `.npz` file without pickle: written after an epoch, read back bit for bit.

Kept are the variables of model (weights, batch statistics, states of random layers) and optimizer by position, the
number of epochs done, and what early stopping remembers.
"""

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sweep.config.trial import TrialConfig
from sweep.engines.base import EpochRecord
from sweep.engines.sequential import SequentialEngine, TrainingRun
from sweep.errors import InputError
from sweep.system.files import replacing


class CheckpointingEngine(SequentialEngine):
    """The sequential engine; each run leaves a checkpoint after an epoch, and resumes from the one it finds."""

    def __init__(self, path_of: Callable[[TrialConfig], Path], pause: Callable[[], None] = lambda: None) -> None:
        """`path_of` a config's checkpoint. Its note are the records of the epochs, as JSON."""
        super().__init__(pause=pause)
        self._path_of = path_of
        self._records: list[dict[str, Any]] = []

    def admit(self, lane: int, config: TrialConfig) -> None:
        """Build the model, and put it into the state of the checkpoint."""
        super().admit(lane, config)
        path = self._path_of(config)
        self._records = json.loads(restore_checkpoint(self.run(lane), path)) if path.exists() else []

    def train_epoch(self, lanes: Collection[int] | None = None) -> dict[int, EpochRecord]:
        """Train an epoch and write the state; after the last one the checkpoint is the one before."""
        outcomes = super().train_epoch(lanes)
        for lane, metrics in outcomes.items():
            self._records.append(metrics.values())
            if not metrics.is_last and not metrics.not_finite():
                run = self.run(lane)
                save_checkpoint(run, self._path_of(run.config), json.dumps(self._records))
        return outcomes


def save_checkpoint(run: TrainingRun, path: Path, note: str) -> None:
    """Replace `path` at once: a kill leaves the old or the new one. `note` is text that belongs to the state."""
    arrays = {f"variable_{index}": np.asarray(variable) for index, variable in enumerate(_variables(run))}
    arrays |= {"epoch": np.asarray(run.epoch), "note": np.asarray(note)}
    stopping = run.early_stopping
    if stopping is not None and stopping.best_weights is not None:
        arrays["stopping"] = np.asarray([stopping.best, stopping.wait, stopping.best_epoch], np.float64)
        arrays |= {f"best_{index}": weights for index, weights in enumerate(stopping.best_weights)}
    with replacing(path) as unfinished:
        np.savez(unfinished, **arrays)  # type: ignore[arg-type]


def read_note(path: Path) -> str:
    """The text that belongs to a checkpoint; InputError if the file is not usable."""
    with _usable(path), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return str(arrays["note"])


def restore_checkpoint(run: TrainingRun, path: Path) -> str:
    """Put a run of the same config into the saved state; returns the note. InputError if the file is not usable."""
    with _usable(path), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        _restore(run, dict(arrays))
        return str(arrays["note"])


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # zipfile, OS, NumPy and Keras errors alike
        raise InputError(f"{path}: not a usable checkpoint ({error}); move it away to train from the start") from None


def _restore(run: TrainingRun, arrays: dict[str, Any]) -> None:
    run.epoch = int(arrays["epoch"])
    run.enter_phase(run.epoch)  # which decides on the optimizer's variables
    for index, variable in enumerate(_variables(run)):
        variable.assign(arrays[f"variable_{index}"])
    if "stopping" in arrays:
        best, wait, best_epoch = arrays["stopping"]
        stopping = run.early_stopping
        stopping.best, stopping.wait, stopping.best_epoch = float(best), int(wait), int(best_epoch)
        stopping.best_weights = [arrays[f"best_{index}"] for index in range(len(run.model.get_weights()))]


def _variables(run: TrainingRun) -> list[Any]:
    return [*run.model.variables, *run.model.optimizer.variables]
