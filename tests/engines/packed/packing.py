"""What the tests of the packed engine share: trials through lanes, their outcomes, and the same tests run on JAX."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sweep.config.trial import TrialConfig
from sweep.engines.base import EpochRecord, record_of
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.sequential import SequentialEngine
from sweep.testing.engine import train_to_the_end, without_seconds

ON_TENSORFLOW = keras.backend.backend() == "tensorflow"


@dataclass(frozen=True)
class Trained:
    """What a run left: its records and final weights. Equal only if both are, bit for bit; NaN equals NaN."""

    records: str
    weights: tuple[bytes, ...]

    @classmethod
    def of(cls, history: Sequence[EpochRecord], weights: Sequence[NDArray[Any]]) -> "Trained":
        """From an engine's records and weights."""
        return cls(repr(without_seconds(history)), tuple(np.asarray(array).tobytes() for array in weights))


def train_all(
    engine: Any,
    configs: Sequence[TrialConfig],
    lanes: Sequence[int] | None = None,
    evicted_after: Mapping[int, int] | None = None,
) -> list[list[EpochRecord]]:
    """The records of every config, each put on the first free one of the `lanes`.

    `evicted_after` is a number of epochs for some configs (0 is the first).
    """
    histories: list[list[EpochRecord]] = [[] for _ in configs]
    waiting, running, last_epochs = list(range(len(configs))), {}, evicted_after or {}
    while waiting or running:
        for lane in range(engine.num_lanes) if lanes is None else lanes:
            if waiting and lane not in running:
                running[lane] = waiting.pop(0)
                engine.admit(lane, configs[running[lane]])
        outcomes = engine.train_epoch()
        for lane in list(running):
            histories[running[lane]].append(record_of(lane, outcomes))
            if histories[running[lane]][-1].is_last or len(histories[running[lane]]) == last_epochs.get(running[lane]):
                engine.evict(lane)
                del running[lane]
    return histories


def train_sequentially(config: TrialConfig) -> list[EpochRecord]:
    """The sequential engine's records."""
    engine = SequentialEngine()
    engine.admit(0, config)
    return train_to_the_end(engine)


def weights_of(engine: PackedEngine, lane: int) -> list[NDArray[Any]]:
    """The weights of a lane without the Keras model that `model` would build for them."""
    run: Any = engine._runs[lane]
    return run.get_weights() if hasattr(run, "get_weights") else run.model.get_weights()


def largest_difference(ours: Sequence[EpochRecord], theirs: Sequence[EpochRecord], num_epochs: int = 10**9) -> float:
    """Of the losses of the first epochs, relative."""
    pairs = [(a.logs["loss"], b.logs["loss"]) for a, b in zip(ours, theirs, strict=True)][:num_epochs]
    return max(abs(a - b) / abs(b) for a, b in pairs)
