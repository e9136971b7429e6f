"""Fake engines that fail as a config's number of dense units says; a worker makes them by their import string.

13 cannot be built            14 ends its own run in epoch 2      15 takes the engine with it
16 kills its process, always  17 kills it on its first attempt    18 finds no memory
19 hangs, always              20 hangs on its first attempt       21 is slow: 0.1 s an epoch
22 ends its process by a C library's `abort`, with words on stderr
23 kills its process on its first attempt, prints on its second, and its loss is not finite
"""

import math
import os
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from sweep.config.trial import TrialConfig
from sweep.engines.base import EpochRecord, Outcome
from sweep.engines.fake import FakeEngine
from sweep.testing.failing_engine import FailingEngine as BaseFailingEngine

MARKS = "SWEEP_TEST_MARKS"  # a folder that remembers first attempts across processes


def _first_time(config: TrialConfig) -> bool:
    mark = Path(os.environ[MARKS]) / str(config.training.seed)
    is_first = not mark.exists()
    mark.touch()
    return is_first


def _is_to_diverge(config: TrialConfig) -> bool:
    return config.model.dense_units == 23


def _diverged(outcome: Outcome) -> Outcome:
    if isinstance(outcome, EpochRecord) and outcome.epoch == 2:
        return replace(outcome, logs={**outcome.logs, "loss": math.nan})
    return outcome


def _kill_or_print(config: TrialConfig) -> None:
    if _first_time(config):
        _kill(config)
    print("about to diverge", flush=True)


def _kill(config: TrialConfig) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _lack_memory(config: TrialConfig) -> None:
    raise MemoryError("no room for eighteen")


def _abort(config: TrialConfig) -> None:
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def _stop(config: TrialConfig) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


class FailingEngine(BaseFailingEngine):
    """Fails in epoch 2, but for what cannot be built and what takes the engine with it."""

    actions: ClassVar[dict[int, Callable[[TrialConfig], None]]] = {
        **BaseFailingEngine.actions,
        16: _kill,
        17: lambda config: _kill(config) if _first_time(config) else None,
        18: _lack_memory,
        19: _stop,
        20: lambda config: _stop(config) if _first_time(config) else None,
        21: lambda config: time.sleep(0.1),
        22: _abort,
        23: _kill_or_print,
    }

    def train_epoch(self, lanes: Collection[int] | None = None) -> Any:
        diverging = [lane for lane, (config, _) in self._runs.items() if _is_to_diverge(config)]
        outcomes = super().train_epoch(lanes)
        return {lane: _diverged(one) if lane in diverging else one for lane, one in outcomes.items()}


class HungryEngine(FakeEngine):
    """Takes 64 MB for each epoch, and gives them back."""

    def train_epoch(self, lanes: Collection[int] | None = None) -> Any:
        bytearray(2**26)
        return super().train_epoch(lanes)
