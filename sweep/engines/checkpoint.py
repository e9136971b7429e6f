"""A training run's whole state in one `.npz` file without pickle: written after an epoch, read back bit for bit.

Kept are the variables of model (weights, batch statistics, states of random layers) and optimizer by position, the
number of epochs done, and what early stopping remembers.
"""

from pathlib import Path
from typing import Any

import numpy as np

from sweep.engines.sequential import TrainingRun
from sweep.errors import InputError
from sweep.system.files import replacing


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


def restore_checkpoint(run: TrainingRun, path: Path) -> str:
    """Put a run of the same config into the saved state; returns the note. InputError if the file is not usable."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            _restore(run, dict(arrays))
            return str(arrays["note"])
    except Exception as error:  # zipfile, OS, NumPy and Keras errors alike
        raise InputError(f"{path}: no usable checkpoint ({error}); move it away to train from the start") from None


def _restore(run: TrainingRun, arrays: dict[str, Any]) -> None:
    for index, variable in enumerate(_variables(run)):
        variable.assign(arrays[f"variable_{index}"])
    run.epoch = int(arrays["epoch"])
    if "stopping" in arrays:
        best, wait, best_epoch = arrays["stopping"]
        stopping = run.early_stopping
        stopping.best, stopping.wait, stopping.best_epoch = float(best), int(wait), int(best_epoch)
        stopping.best_weights = [arrays[f"best_{index}"] for index in range(len(run.model.get_weights()))]


def _variables(run: TrainingRun) -> list[Any]:
    return [*run.model.variables, *run.model.optimizer.variables]
