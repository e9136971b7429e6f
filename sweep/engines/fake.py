"""An engine without Keras: closed-form learning curves, for tests and `--engine fake`.

The score depends smoothly on the config, so samplers and pruners have something to find:

    val_accuracy(e) = top * (1 - exp(-3 e / epochs)) + wiggle(seed, e),   top in (0, 1)

Every metric of `training.metrics` is the same.
"""

import hashlib
import math
import time
from collections.abc import Collection
from typing import Any

from sweep.config.trial import TrialConfig
from sweep.engines.base import EpochRecord

UNKNOWN_UNITS = 96  # of a network that says nothing of its widths


class FakeEngine:
    """Follows the `Engine` protocol. `epoch_s` seconds are slept for each epoch, to stand in for training."""

    def __init__(self, num_lanes: int = 1, epoch_s: float = 0.0) -> None:
        self.num_lanes = num_lanes
        self._epoch_s = epoch_s
        self._runs: dict[int, tuple[TrialConfig, int]] = {}

    def admit(self, lane: int, config: TrialConfig) -> None:
        """Start a lane at epoch 0."""
        if lane in self._runs:
            raise ValueError(f"lane {lane} is not free")
        self._runs[lane] = (config, 0)

    def evict(self, lane: int) -> None:
        """Free a lane."""
        self._runs.pop(lane, None)

    def train_epoch(self, lanes: Collection[int] | None = None) -> dict[int, EpochRecord]:
        """Advance every live lane by one epoch of its curve."""
        time.sleep(self._epoch_s)
        records = {}
        for lane, (config, epoch) in sorted(self._runs.items()):
            if (lanes is None or lane in lanes) and epoch < config.training.epochs:
                self._runs[lane] = (config, epoch + 1)
                records[lane] = fake_record(config, epoch + 1, self._epoch_s)
        return records

    def model(self, lane: int) -> Any:
        """There is none."""
        raise TypeError("the fake engine trains no model; use --engine sequential")


def fake_record(config: TrialConfig, epoch: int, seconds: float = 0.0) -> EpochRecord:
    """Return the record of one epoch, a pure function of config and epoch; losses are NaN for a rate of 1 or more."""
    epochs = config.training.epochs
    accuracy = _top(config) * (1 - math.exp(-3 * epoch / epochs)) + _wiggle(config.training.seed, epoch)
    rate = config.schedule.initial_learning_rate
    loss = math.nan if rate >= 1 else 2.3 * (1 - accuracy)
    logs = {"loss": loss, "accuracy": accuracy, "val_loss": loss, "val_accuracy": accuracy}
    logs |= {
        "learning_rate": rate,
        **dict.fromkeys(config.training.computed_metrics, accuracy),
    }
    is_last = epoch == epochs
    return EpochRecord(epoch, logs, seconds, is_last, best_epoch=epoch if is_last else 0)


def _top(config: TrialConfig) -> float:
    """Best at initial_learning_rate 1e-3, l2 1e-4, momentum 0.8 and many filters or hidden units."""
    distance = (math.log10(config.schedule.initial_learning_rate) + 3) ** 2 / 4
    distance += (math.log10(max(config.regularizer.l2, 1e-8)) + 4) ** 2 / 16
    distance += ((config.optimizer.momentum or 0.0) - 0.8) ** 2
    distance += 4 / sum(getattr(config.model, "filters", config.model.lane_widths) or (UNKNOWN_UNITS,))
    return math.exp(-distance / 2) * 0.99


def _wiggle(seed: int, epoch: int) -> float:
    """Noise in +-0.005 that is the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{epoch}".encode()).digest()
    return (int.from_bytes(digest[:4], "big") / 2**32 - 0.5) / 100
