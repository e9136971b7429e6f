"""`metrics.json`: what each seed of a retrain scored, by epoch and on the test set."""

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

NUMBERS = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")  # of an epoch


@dataclass
class SeedResult:
    """One seed's training: its epochs so far, and the test scores once it is done."""

    seed: int
    history: list[dict[str, Any]]
    best_epoch: int | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    is_saved: bool = True  # the model's files are written; earlier versions wrote them before this
    takes_raw_images: bool = False  # the saved model; those of earlier versions take scaled ones
    problem: str | None = None  # of its model.keras

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return self.test_accuracy is not None and self.is_saved


def stored_config(folder: Path) -> TrialConfig | None:
    """The config whose models a folder holds, written before the first one is trained; None in a new folder.

    Raises:
        InputError: Its `metrics.json` is not readable.

    """
    path = folder / "metrics.json"
    if not path.exists():
        return None
    with readable(path):
        stored = json.loads(path.read_text())["config"]
        return TrialConfig.from_values(stored, str(path))  # perhaps without keys of today


def stored_precision(folder: Path) -> Precision | None:
    """What the models in a folder are trained in, which a later "auto" is too; None in a new folder."""
    config = stored_config(folder)
    return None if config is None or config.training.precision == "auto" else config.training.precision


def read_results(folder: Path, config: TrialConfig) -> dict[int, SeedResult]:
    """Read the seeds that were evaluated; one whose training was cut off is in its checkpoint.

    Raises:
        InputError: The file is not readable, or it is of another config.

    """
    path = folder / "metrics.json"
    if not path.exists():
        return {}
    with readable(path):
        stored = json.loads(path.read_text())
        results = {entry["seed"]: SeedResult(**entry) for entry in stored["seeds"]}
        for result in results.values():
            checked_history(result.history)
    begun = stored_config(folder)
    if begun is None or begun.values() != config.values():
        raise InputError(f"{folder} holds models of another config; use another --out, or move it away")
    return results


def write_results(folder: Path, results: Sequence[SeedResult], facts: dict[str, Any]) -> dict[str, Any]:
    """Replace `metrics.json`: the facts, and the seeds that are evaluated; returns its content."""
    content = {
        **facts,
        "test_accuracy": mean_and_deviation([result.test_accuracy for result in results]),
        "test_loss": mean_and_deviation([result.test_loss for result in results]),
        "seeds": [vars(result) for result in results],
    }
    write_text(folder / "metrics.json", json.dumps(content, indent=2))
    return content


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What goes wrong in the body is the file's fault: InputError."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: not readable ({error}); use another --out, or move the folder away") from None


def checked_history(history: Any) -> list[dict[str, Any]]:
    """A list of epochs as they are drawn, all numbers; ValueError if it is something else."""
    if not isinstance(history, list) or [epoch["epoch"] for epoch in history] != [*range(1, len(history) + 1)]:
        raise ValueError("no list of epochs")
    for epoch in history:
        for key, value in epoch.items():
            if value is not None and not isinstance(value, int | float):
                raise ValueError(f"{key} is no number")
    return [stored_epoch(epoch) for epoch in history]


def stored_epoch(values: Mapping[str, Any]) -> dict[str, Any]:
    """A record's values as they are written: without a validation part its scores are null."""
    return {**dict.fromkeys(("epoch", *NUMBERS)), **values}


def mean_and_deviation(values: Sequence[float | None]) -> dict[str, float | None] | None:
    """Mean and sample standard deviation (n - 1; None for one value); None without values."""
    if not values:
        return None
    array = np.asarray(values, np.float64)
    return {"mean": float(array.mean()), "standard_deviation": float(array.std(ddof=1)) if len(array) > 1 else None}
