"""Read and write `metrics.json`: the scores of each retrained seed by epoch and on the test set."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sweep.config.training import Precision
from sweep.config.trial import TrialConfig
from sweep.errors import InputError
from sweep.system.files import write_text

EPOCH_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")


@dataclass
class SeedResult:
    """The results of one seed: its epochs, and the test scores once it is done.

    Attributes:
        seed: The seed.
        history: The metrics of each epoch by name.
        best_epoch: The epoch whose weights are kept, counted from 1.
        test_loss: The loss on the test set.
        test_accuracy: The accuracy on the test set.
        is_saved: Whether the model's files are written. Earlier versions wrote them before this entry.
        takes_raw_images: Whether the saved model takes raw images. Those of earlier versions take scaled images.
        problem: Why `model.keras` cannot be used; None if it can.
    """

    seed: int
    history: list[dict[str, Any]]
    best_epoch: int | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    is_saved: bool = True
    takes_raw_images: bool = False
    problem: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether the seed is trained, evaluated and saved."""
        return self.test_accuracy is not None and self.is_saved


def stored_config(folder: Path) -> TrialConfig | None:
    """Read the config whose models a folder contains; it is written before the first model is trained.

    Args:
        folder: The folder of the models.

    Returns:
        The config; None for a new folder.

    Raises:
        InputError: Its `metrics.json` is not readable.

    """
    path = folder / "metrics.json"
    if not path.exists():
        return None
    with reporting_unreadable(path):
        stored = json.loads(path.read_text())["config"]
        return TrialConfig.from_values(stored, str(path))  # keys added since get their defaults


def stored_precision(folder: Path) -> Precision | None:
    """Read the precision of the models in a folder, which "auto" keeps on a later call.

    Args:
        folder: The folder of the models.

    Returns:
        The precision; None for a new folder.
    """
    config = stored_config(folder)
    return None if config is None or config.training.precision == "auto" else config.training.precision


def read_results(folder: Path, config: TrialConfig) -> dict[int, SeedResult]:
    """Read the results of the seeds that were evaluated; the epochs of an interrupted seed are in its checkpoint.

    Args:
        folder: The folder of the models.
        config: The config that the models must be of.

    Returns:
        The results by seed.

    Raises:
        InputError: The file is not readable, or it is of another config.

    """
    path = folder / "metrics.json"
    if not path.exists():
        return {}
    with reporting_unreadable(path):
        stored = json.loads(path.read_text())
        results = {entry["seed"]: SeedResult(**entry) for entry in stored["seeds"]}
        for result in results.values():
            checked_history(result.history)
    stored_before = stored_config(folder)
    if stored_before is None or stored_before.values() != config.values():
        raise InputError(f"{folder} contains models of another config; use another --out, or move the folder")
    return results


def write_results(folder: Path, results: Sequence[SeedResult], facts: dict[str, Any]) -> dict[str, Any]:
    """Replace `metrics.json`.

    Args:
        folder: The folder of the models.
        results: The seeds that are evaluated.
        facts: Further entries by name.

    Returns:
        The content of the file.
    """
    content = {
        **facts,
        "test_accuracy": mean_and_deviation([result.test_accuracy for result in results]),
        "test_loss": mean_and_deviation([result.test_loss for result in results]),
        "seeds": [vars(result) for result in results],
    }
    write_text(folder / "metrics.json", json.dumps(content, indent=2))
    return content


@contextmanager
def reporting_unreadable(path: Path) -> Iterator[None]:
    """Raise InputError that the file is not readable for any error in the body."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: not readable ({error}); use another --out, or move the folder") from None


def checked_history(history: Any) -> list[dict[str, Any]]:
    """Check epochs that were read from a file.

    Args:
        history: What was read.

    Returns:
        The metrics of each epoch by name, complete as in `stored_epoch`.

    Raises:
        ValueError: It is not a list of epochs counted from 1, or a metric is not a number.
    """
    if not isinstance(history, list) or [epoch["epoch"] for epoch in history] != [*range(1, len(history) + 1)]:
        raise ValueError("not a list of epochs")
    for epoch in history:
        for key, value in epoch.items():
            if value is not None and not isinstance(value, int | float):
                raise ValueError(f"{key} is not a number")
    return [stored_epoch(epoch) for epoch in history]


def stored_epoch(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an epoch's metrics as they are stored.

    Args:
        values: The metrics by name.

    Returns:
        The metrics, with None for standard ones that are missing, as validation metrics without validation images.
    """
    return {**dict.fromkeys(("epoch", *EPOCH_METRICS)), **values}


def mean_and_deviation(values: Sequence[float | None]) -> dict[str, float | None] | None:
    """Compute the mean and the sample standard deviation (with n - 1).

    Args:
        values: The values.

    Returns:
        Both by name, the standard deviation None for one value; None without values.
    """
    if not values:
        return None
    array = np.asarray(values, np.float64)
    return {"mean": float(array.mean()), "standard_deviation": float(array.std(ddof=1)) if len(array) > 1 else None}
