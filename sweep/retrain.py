"""TrialConfig -> a model with what it scored: N seeds, the test set evaluated once at the end of each.

Folder: `model.keras`, `model.json` (architecture), `model.weights.h5` of the first seed (the config's own), the same
for the other seeds in `seed-N/`, `metrics.json`, and `curves.html`, which grows while it trains. Each epoch leaves a
checkpoint, so the same command after a kill goes on from the last epoch. This is the only module that reads test data.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sweep.config import TrialConfig
from sweep.curves import write_curves
from sweep.data import load, load_test
from sweep.engines.base import EpochMetrics
from sweep.engines.checkpoint import restore_checkpoint, save_checkpoint
from sweep.engines.sequential import SequentialEngine
from sweep.errors import InputError, SweepError
from sweep.files import write_text
from sweep.runs import seeds_from, with_seed

EVALUATION_BATCH_SIZE = 256


@dataclass
class SeedResult:
    """One seed's training: its epochs so far, and the test scores once it is done."""

    seed: int
    history: list[dict[str, Any]]
    best_epoch: int | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None


class Retraining:
    """Trains one config from several seeds into a folder."""

    def __init__(
        self,
        config: TrialConfig,
        num_seeds: int,
        folder: Path,
        say: Callable[[str], None] = print,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        """`pause` is called every second or so and may raise. InputError if the folder holds another config."""
        self._config, self._folder, self._say, self._pause = config, folder, say, pause
        self._seeds = seeds_from(config.training.seed, num_seeds)
        folder.mkdir(parents=True, exist_ok=True)
        self._results = self._read_results()
        self._write_results()  # the folder is this config's from now on

    def run(self) -> dict[str, Any]:
        """Train what is not trained yet; returns (and has written) the content of metrics.json."""
        for seed in self._seeds:
            result = self._results.setdefault(seed, SeedResult(seed, []))
            if result.test_accuracy is None:
                self._train(result)
        write_curves(self._folder, self._trained(), is_done=True)
        return self._write_results()

    def _train(self, result: SeedResult) -> None:
        engine = SequentialEngine(pause=self._pause)
        engine.admit(0, with_seed(self._config, result.seed))
        checkpoint = self._folder / f"checkpoint-{result.seed}.npz"
        if checkpoint.exists():
            note = restore_checkpoint(engine.run(0), checkpoint)
            with _readable(checkpoint):
                result.history = _checked_history(json.loads(note))
            self._say(f"seed {result.seed}: goes on after epoch {len(result.history)}")
        while metrics := engine.train_epoch():
            self._keep(result, metrics[0])
            if not metrics[0].is_last:
                save_checkpoint(engine.run(0), checkpoint, json.dumps(result.history))
        self._finish(result, engine.model(0))
        engine.evict(0)
        checkpoint.unlink(missing_ok=True)

    def _keep(self, result: SeedResult, metrics: EpochMetrics) -> None:
        result.history.append(metrics.record())
        result.best_epoch = metrics.best_epoch or None
        self._say(epoch_line(result.seed, metrics, self._config.training.epochs))
        if metrics.diverged():
            raise SweepError(f"seed {result.seed}: the loss is not finite after epoch {metrics.epoch}")
        write_curves(self._folder, self._trained(), is_done=False)

    def _finish(self, result: SeedResult, model: Any) -> None:
        result.test_loss, result.test_accuracy = evaluate(model, *load_test(self._config.data))
        folder = self._folder if result.seed == self._seeds[0] else self._folder / f"seed-{result.seed}"
        save_model(model, folder)
        self._write_results()
        self._say(f"seed {result.seed}: test accuracy {result.test_accuracy:.4f}, loss {result.test_loss:.4f}")

    def _trained(self) -> list[SeedResult]:
        return [self._results[seed] for seed in self._seeds if seed in self._results]

    def _read_results(self) -> dict[int, SeedResult]:
        """The seeds that are done. An unfinished one is in its checkpoint."""
        path = self._folder / "metrics.json"
        if not path.exists():
            return {}
        with _readable(path):
            stored = json.loads(path.read_text())
            results = {entry["seed"]: SeedResult(**entry) for entry in stored["seeds"]}
            for result in results.values():
                _checked_history(result.history)
            config = stored["config"]
        if config != self._config.values():
            raise InputError(f"{self._folder} holds models of another config; use another --out or remove it")
        return results

    def _write_results(self) -> dict[str, Any]:
        dataset = load(self._config.data)
        done = [result for result in self._trained() if result.test_accuracy is not None]
        content = {
            "config": self._config.values(),
            "num_train": len(dataset.y_train),
            "num_validation": len(dataset.y_validation),
            "num_test": len(load_test(self._config.data)[1]) if done else None,
            "test_accuracy": mean_and_deviation([result.test_accuracy for result in done]),
            "test_loss": mean_and_deviation([result.test_loss for result in done]),
            "seeds": [vars(result) for result in done],
        }
        write_text(self._folder / "metrics.json", json.dumps(content, indent=2))
        return content


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What goes wrong in the body is the file's fault: InputError."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: not readable ({error}); remove the folder or use another --out") from None


def _checked_history(history: Any) -> list[dict[str, Any]]:
    """A list of epochs as they are drawn, all numbers; ValueError if it is something else."""
    if not isinstance(history, list) or [epoch["epoch"] for epoch in history] != [*range(1, len(history) + 1)]:
        raise ValueError("no list of epochs")
    for key in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
        if not all(epoch[key] is None or isinstance(epoch[key], int | float) for epoch in history):
            raise ValueError(f"{key} is no number")
    return history


def evaluate(model: Any, x_test: Any, y_test: Any) -> tuple[float, float]:
    """(loss, accuracy) on images float32 (N, H, W, C) and labels int32 (N,), by Keras's own `evaluate`."""
    scores = model.evaluate(x_test, y_test, batch_size=EVALUATION_BATCH_SIZE, verbose=0, return_dict=True)
    return float(scores["loss"]), float(scores["accuracy"])


def save_model(model: Any, folder: Path) -> None:
    """`model.keras` (loads in plain Keras), its architecture as JSON, and its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.keras")
    (folder / "model.json").write_text(model.to_json(indent=2))
    model.save_weights(folder / "model.weights.h5")


def mean_and_deviation(values: Sequence[float | None]) -> dict[str, float | None] | None:
    """Mean and sample standard deviation (n - 1; None for one value); None without values."""
    if not values:
        return None
    array = np.asarray(values, np.float64)
    return {"mean": float(array.mean()), "standard_deviation": float(array.std(ddof=1)) if len(array) > 1 else None}


def epoch_line(seed: int, metrics: EpochMetrics, num_epochs: int) -> str:
    """Loss, accuracy and learning rate of an epoch in one line."""
    line = f"seed {seed}: epoch {metrics.epoch}/{num_epochs}  loss {metrics.loss:.4f}  accuracy {metrics.accuracy:.4f}"
    if metrics.val_loss is not None and metrics.val_accuracy is not None:
        line += f"  val_loss {metrics.val_loss:.4f}  val_accuracy {metrics.val_accuracy:.4f}"
    return f"{line}  learning rate {metrics.learning_rate:.3g}  {metrics.seconds:.2f} s"
