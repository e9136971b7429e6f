"""The validation predictions of a study's best trials, as files in its folder; those of other trials are removed.

A file is written before its trial is COMPLETE in the database. After a kill in between, the trial is trained again and
the file is replaced by an equal one.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweep.engines.predictions import Predictions, packed
from sweep.errors import InputError
from sweep.system.files import replacing

FOLDER = "predictions"  # in the folder of a study
VALUES = "values"  # the array with a trial's objective values, by which a file is known to be of that trial
FILE = re.compile(r"trial-(\d+)\.npz")


def predictions_file(folder: Path, number: int) -> Path:
    """Return the file of a trial.

    Args:
        folder: The study's.
        number: The trial's.
    """
    return folder / FOLDER / f"trial-{number}.npz"


class BestPredictions:
    """Keeps the predictions of the best COMPLETE trials, by the first objective."""

    def __init__(self, folder: Path, limit: int, direction: StudyDirection, trials: Sequence[FrozenTrial]) -> None:
        """Remove the files of other trials than the best of these.

        Args:
            folder: The study's.
            limit: For how many trials predictions are kept.
            direction: Of the first objective.
            trials: Those of earlier processes.
        """
        self._folder, self._limit = folder, limit
        self._sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
        complete = (trial for trial in trials if trial.state == TrialState.COMPLETE and trial.values)
        self._best = sorted((self._sign * trial.values[0], trial.number) for trial in complete)[:limit]
        for number, path in _stored(folder):
            if number not in {best for _, best in self._best}:
                path.unlink(missing_ok=True)

    def wants(self, value: float) -> bool:
        """Return whether a trial with this value is among the best."""
        return len(self._best) < self._limit or self._sign * value < self._best[-1][0]

    def keep(self, number: int, values: Sequence[float], runs: Sequence[Predictions]) -> str | None:
        """Store the predictions of a trial's runs, and remove those of the trial that is no longer among the best.

        Returns:
            A line for the user if the file cannot be written.
        """
        self._best = sorted([*self._best, (self._sign * values[0], number)])
        dropped, self._best = self._best[self._limit :], self._best[: self._limit]
        try:
            with replacing(predictions_file(self._folder, number)) as unfinished:
                unfinished.write_bytes(packed(runs, **{VALUES: np.asarray(values)}))
            for _, other in dropped:
                predictions_file(self._folder, other).unlink(missing_ok=True)
        except (InputError, OSError) as error:
            return f"the predictions of trial {number} are not stored: {error}"
        return None


def read_predictions(folder: Path, trial: FrozenTrial) -> list[Predictions]:
    """Return the stored predictions of each run of a COMPLETE trial; none if there are none of this trial."""
    path = predictions_file(folder, trial.number)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if trial.values is None or arrays[VALUES].tolist() != [*trial.values]:
                return []
            count = sum(name.startswith("labels_") for name in arrays.files)
            numbers = range(1, count + 1)
            return [Predictions(arrays[f"labels_{run}"], arrays[f"probabilities_{run}"]) for run in numbers]
    except FileNotFoundError:
        return []
    except Exception as error:  # zipfile, OS and NumPy errors alike
        raise InputError(f"{path}: not usable predictions ({error}); remove the file") from None


def _stored(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in (folder / FOLDER).glob("trial-*.npz"):
        match = FILE.fullmatch(path.name)
        if match is not None:
            yield int(match[1]), path
