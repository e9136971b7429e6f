"""The source articles' configs, each from several seeds, against the figures in the articles.

    SWEEP_DATA=DIR python benchmarks/recipes.py [NAME ...] [--seeds 5] [--epochs N]

Trains `search_spaces/recipes/NAME.toml` (all of the articles') in full, or for N epochs, which the table says. Seeds
are those of `sweep retrain --seeds`, trained as lanes of the packed engine. A recipe of the articles validates on the
test set, as they did: its last epoch is one look at it, its best epoch is chosen by it. The recipe `cnn_beyond`, named
alone, is trained by `sweep retrain` itself in DIR/cnn_beyond (`--models DIR`), where it goes on if it was interrupted;
it has no best epoch. Appends a table, and writes each recipe's line `# Ours:`.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import results
from results import ROOT, SOURCE

FOLDER = ROOT / "search_spaces" / "recipes"
ALONE = "cnn_beyond"  # is trained by itself: threads are divided otherwise
HEADER = (
    *("recipe", "seeds", "epochs", "train accuracy, last epoch", "test accuracy, last epoch", "best epoch", "largest"),
    *("the source's figure", "minutes"),
)


@dataclass(frozen=True)
class Trained:
    """A recipe's runs: of each seed, the record of each epoch."""

    histories: list[list[Any]]
    epochs_of_recipe: int
    minutes: float

    @property
    def epochs(self) -> str:
        """`5`, or `5 of 80`."""
        trained = len(self.histories[0])
        return str(trained) if trained == self.epochs_of_recipe else f"{trained} of {self.epochs_of_recipe}"

    @property
    def train(self) -> str:
        """Accuracy of the last epoch."""
        return spread([history[-1].logs["accuracy"] for history in self.histories])

    @property
    def last(self) -> str:
        """Test accuracy of the last epoch."""
        return spread([history[-1].logs["val_accuracy"] for history in self.histories])

    @property
    def bests(self) -> list[float]:
        """Test accuracy of each seed's best epoch."""
        return [max(metrics.logs["val_accuracy"] for metrics in history) for history in self.histories]

    @property
    def sentence(self) -> str:
        """For the recipe's own line."""
        accuracies = f"test accuracy {self.last}, best epoch {spread(self.bests)}"
        return f"{accuracies}; {len(self.histories)} seeds, {self.epochs} epochs, {self.minutes:.1f} minutes in all"

    @property
    def cells(self) -> list[object]:
        """Of the table, between name and source."""
        lasts = (self.train, self.last, spread(self.bests), f"{max(self.bests):.4f}")
        return [len(self.histories), self.epochs, *lasts]


@dataclass(frozen=True)
class Retrained:
    """The content of the metrics.json of `sweep retrain`: each seed tested once."""

    content: dict[str, Any]

    @property
    def minutes(self) -> float:
        """Of training, in all."""
        return sum(epoch["seconds"] for seed in self.content["seeds"] for epoch in seed["history"]) / 60

    @property
    def tests(self) -> list[float]:
        """Test accuracy of each seed."""
        return [seed["test_accuracy"] for seed in self.content["seeds"]]

    @property
    def sentence(self) -> str:
        """For the recipe's own line."""
        epochs, scores = self.content["config"]["training"]["epochs"], f"{min(self.tests):.4f} to {max(self.tests):.4f}"
        taken = f"{len(self.tests)} seeds, {epochs} epochs, {self.minutes:.0f} minutes in all"
        return f"test accuracy {spread(self.tests)}, {scores}; {taken}"

    @property
    def cells(self) -> list[object]:
        """Of the table, between name and source."""
        train = spread([seed["history"][-1]["accuracy"] for seed in self.content["seeds"]])
        epochs = self.content["config"]["training"]["epochs"]
        return [len(self.tests), epochs, train, spread(self.tests), "-", f"{max(self.tests):.4f}"]


def main() -> int:
    """A row and a line for each recipe, as it ends."""
    options = _parse_arguments()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from sweep.engines.cpu import default_onednn
    from sweep.engines.devices import set_up_device

    num_threads = None if options.names == [ALONE] else 1
    device = set_up_device("cpu", os.cpu_count() or 1, operation_threads=num_threads, onednn=default_onednn())
    machine, rows = results.describe_machine(), []
    for name in options.names or sorted({file.stem for file in FOLDER.glob("*.toml")} - {ALONE}):
        file = FOLDER / f"{name}.toml"
        trained = measure(file, device, options)
        rows.append(row(file, trained))
        print(results.table(HEADER, rows[-1:]), file=sys.stderr, flush=True)
        results.write_ours(file, trained.sentence)
    results.append(options.out, "Recipes of the source articles", machine, results.table(HEADER, rows), __doc__ or "")
    return 0


def measure(file: Path, device: Any, options: argparse.Namespace) -> Trained | Retrained:
    """Train a recipe in its own way."""
    from sweep.config.file import read_config
    from sweep.engines.precision import fast_precision
    from sweep.results.retrain import Retraining

    config, _ = read_config(file)
    if config.data.validation == "test":
        return train(file, options.seeds, options.epochs)
    config = config.with_precision(fast_precision(device))
    return Retrained(Retraining(config, options.seeds, options.models / file.stem).run())


def train(file: Path, num_seeds: int, epochs: int | None) -> Trained:
    """Every seed of a recipe, as lanes."""
    from sweep.config.file import read_config
    from sweep.engines.packed.engine import PackedEngine
    from sweep.space.runs import seeds_from, with_seed

    whole, _ = read_config(file)
    config, _ = read_config(file, [f"training.epochs={min(epochs or sys.maxsize, whole.training.epochs)}"])
    started = time.monotonic()
    engine = PackedEngine(num_seeds, os.cpu_count() or 1, widest=[config.model.lane_widths])
    for lane, seed in enumerate(seeds_from(config.training.seed, num_seeds)):
        engine.admit(lane, with_seed(config, seed))
    histories: list[list[Any]] = [[] for _ in range(num_seeds)]
    while outcomes := engine.train_epoch():
        for lane, outcome in outcomes.items():
            if isinstance(outcome, BaseException):
                raise outcome
            histories[lane].append(outcome)
    return Trained(histories, whole.training.epochs, (time.monotonic() - started) / 60)


def row(file: Path, trained: Trained | Retrained) -> list[object]:
    """Of the table."""
    source = results.read_line(file, SOURCE)
    return [file.stem, *trained.cells, source.removesuffix("."), f"{trained.minutes:.1f}"]


def spread(values: Sequence[float]) -> str:
    """Mean, and sample standard deviation where there are several."""
    mean = f"{statistics.mean(values):.4f}"
    return f"{mean} +- {statistics.stdev(values):.4f}" if len(values) > 1 else mean


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of recipes (all)")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="(5)")
    parser.add_argument("--epochs", type=int, metavar="N", help="at most (as the recipe says)")
    folder = ROOT / "studies" / "recipes"
    parser.add_argument(
        "--models", type=Path, default=folder, metavar="DIR", help="of what is retrained (studies/recipes)"
    )
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
