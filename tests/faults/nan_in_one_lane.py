"""NaN or infinity in a lane of the packed engine: that trial fails, and the others train as if it was not there."""

import hashlib
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from faults.fault import Fault
from sweeps import make_space, read_trials, run_sweep

from sweep.config.trial import TrialConfig
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.weak_lru_cache import WeakLruCache
from sweep.executors.in_process import InProcessExecutor
from sweep.space.runs import derived_seed

NUM_TRIALS, NUM_LANES, NUM_EPOCHS, STEPS_AN_EPOCH = 12, 4, 3, 4
NUM_CLASSES = 10
MOST_POISONED = 5  # of the trials of a sweep
SPACE = make_space(
    data={"num_train": 50, "num_validation": 40},
    model={"dense_units": 6, "dropout": 0.3, "batch_norm": True},
    training={"epochs": NUM_EPOCHS, "batch_size": 16},
    space={
        "momentum": {"key": "optimizer.momentum", "type": "float", "low": 0.0, "high": 0.9},
        "initial_rate": {
            "key": "schedule.initial_learning_rate",
            "type": "float",
            "low": 1e-4,
            "high": 1e-2,
            "log": True,
        },
        "l2": {"key": "regularizer.l2", "type": "float", "low": 1e-6, "high": 1e-2, "log": True},
        "filters_1": {"key": "model.filters.1", "type": "int", "low": 2, "high": 6},
        "filters_2": {"key": "model.filters.2", "type": "int", "low": 2, "high": 6},
    },
)


@dataclass(frozen=True)
class Poison:
    """Puts a value into the learning rate of a step (from 0), or before its epoch into one weight or into all."""

    step: int
    value: float
    into: str


class PoisoningEngine(PackedEngine):
    """Poisons the trials that have these training seeds; keeps a hash of the weights that each trial had at its end."""

    programs: WeakLruCache[Any, Any] = WeakLruCache(99)  # compiled once for all

    def __init__(self, poisons: dict[int, Poison]) -> None:
        super().__init__(NUM_LANES, 2)
        self._programs, self._poisons = self.programs, poisons
        self._seeds: dict[int, int] = {}  # by lane
        self.weights: dict[int, str] = {}  # by training seed

    def admit(self, lane: int, config: TrialConfig) -> None:
        super().admit(lane, config)
        self._seeds[lane] = config.training.seed

    def train_epoch(self, lanes=None) -> Any:
        for lane, run in self._runs.items():
            poison = self._poisons.get(self._seeds[lane])
            if poison is not None and run.epoch == poison.step // STEPS_AN_EPOCH:
                _poison(run, poison)
        return super().train_epoch(lanes)

    def evict(self, lane: int) -> None:
        content = b"".join(np.asarray(array).tobytes() for array in self._runs[lane].get_weights())
        self.weights[self._seeds[lane]] = hashlib.sha256(content).hexdigest()
        super().evict(lane)


def _poison(run: Any, poison: Poison) -> None:
    if poison.into == "rate":
        run._rates = np.array(run._rates)
        run._rates[poison.step] = poison.value
        return
    weights = [np.array(array) for array in run.get_weights()]
    for array in weights if poison.into == "all weights" else []:
        array[:] = poison.value
    output_bias = next(array for array in weights if array.shape == (NUM_CLASSES,))  # nothing hides what is in it
    output_bias[0] = poison.value
    run.set_weights(weights)


def poison_at_random(count: int, seed: int, folder: Path) -> list[str]:
    """Some trials of a sweep through four lanes; the sweep is compared with one in which nothing was poisoned."""
    chooser = random.Random(seed)
    clean = _sweep(folder / "clean", {})
    violations, injected = [], 0
    while injected < count:
        numbers = chooser.sample(range(NUM_TRIALS), chooser.randint(1, min(MOST_POISONED, count - injected)))
        poisons = {number: _draw(chooser) for number in numbers}
        violations += _compare(_sweep(folder / str(injected), poisons), clean, poisons)
        injected += len(poisons)
    return violations


def _draw(chooser: random.Random) -> Poison:
    value = chooser.choice([math.nan, math.inf])
    return Poison(
        chooser.randrange(NUM_EPOCHS * STEPS_AN_EPOCH), value, chooser.choice(["rate", "weight", "all weights"])
    )


@dataclass(frozen=True)
class Swept:
    """Trials as they are stored, hashes of their last weights by number, and the best trial."""

    trials: list[dict[str, Any]]
    weights: dict[int, str]
    best: int


def _sweep(folder: Path, poisons: dict[int, Poison]) -> Swept:
    numbers = {derived_seed(0, number): number for number in range(NUM_TRIALS)}
    engine = PoisoningEngine({seed: poisons[number] for seed, number in numbers.items() if number in poisons})
    executor = InProcessExecutor(engine)
    study = run_sweep(folder, SPACE, NUM_TRIALS, NUM_LANES, executor, max_failures=NUM_TRIALS)
    weights = {numbers[seed]: digest for seed, digest in engine.weights.items()}
    return Swept(read_trials(folder), weights, study.best_trial.number)


def _compare(swept: Swept, clean: Swept, poisons: dict[int, Poison]) -> list[str]:
    expected = max(set(range(NUM_TRIALS)) - set(poisons), key=lambda number: (clean.trials[number]["values"], -number))
    violations = [] if swept.best == expected else [f"{poisons}: trial {swept.best} is best, not {expected}"]
    for ours, theirs in zip(swept.trials, clean.trials, strict=True):
        number = ours["number"]
        if number in poisons:
            is_right = (ours["state"], ours["user_attrs"].get("cause"), ours["values"]) == ("FAIL", "nan", None)
            stopped_at = len(ours["intermediate_values"])
            if not is_right or stopped_at != poisons[number].step // STEPS_AN_EPOCH + 1:
                violations.append(f"trial {number}, {poisons[number]}: {ours['state']} after {stopped_at} epochs")
        elif ours != theirs or swept.weights[number] != clean.weights[number]:
            violations.append(f"{poisons}: trial {number} is not what it was without them")
    return violations


FAULTS = [
    Fault(
        "NaN or inf in one lane",
        "that trial is FAIL(nan) at that epoch and never best; all others are the same to the bit, their weights too",
        500,
        10,
        poison_at_random,
    )
]
