"""An engine that calls functions instead of training: one epoch a run, no Keras.

The lanes are called one after the other. A function is a user's code, so whatever it raises ends its own run alone.
"""

import random
import time
from collections.abc import Callable, Collection, Sequence
from numbers import Real
from typing import Any

import numpy as np

from sweep.config.function import FunctionConfig, value_names
from sweep.engines.base import EpochRecord
from sweep.errors import ends_process
from sweep.space.functions import find_function


class FunctionEngine:
    """Follows the `Engine` protocol with `FunctionConfig`s. `pause` may raise, before each call; none is cut short."""

    def __init__(self, num_lanes: int = 1, pause: Callable[[], None] = lambda: None) -> None:
        self.num_lanes = num_lanes
        self._pause = pause
        self._configs: dict[int, FunctionConfig] = {}
        self._called: set[int] = set()

    def admit(self, lane: int, config: FunctionConfig) -> None:
        """Take a call. SpaceError if the function cannot be found."""
        if lane in self._configs:
            raise ValueError(f"lane {lane} is not free")
        find_function(config.function)
        self._configs[lane] = config

    def evict(self, lane: int) -> None:
        """Free a lane."""
        self._configs.pop(lane, None)
        self._called.discard(lane)

    def train_epoch(self, lanes: Collection[int] | None = None) -> dict[int, EpochRecord | BaseException]:
        """Call the function of every lane that was not called yet."""
        due = [lane for lane in sorted(self._configs.keys() - self._called) if lanes is None or lane in lanes]
        outcomes = {}
        for lane in due:
            self._pause()
            self._called.add(lane)
            outcomes[lane] = _outcome(self._configs[lane])
        return outcomes

    def model(self, lane: int) -> Any:
        """There is none."""
        raise TypeError("a function has no model")


def _outcome(config: FunctionConfig) -> EpochRecord | BaseException:
    try:
        return call(config)
    except BaseException as error:
        if ends_process(error):
            raise
        return error


def call(config: FunctionConfig) -> EpochRecord:
    """The one epoch of a function's run. Raises what it raises; TypeError if it gives something else."""
    function = find_function(config.function)
    random.seed(config.seed)
    np.random.seed(config.seed)
    started = time.perf_counter()
    given = function(**config.params)
    seconds = time.perf_counter() - started
    logs = dict(zip(value_names(config.num_values), _as_values(given, config), strict=True))
    return EpochRecord(1, logs, seconds, is_last=True, best_epoch=1)


def _as_values(given: Any, config: FunctionConfig) -> tuple[float, ...]:
    """A number for one objective, else a sequence of as many."""
    several = isinstance(given, Sequence | np.ndarray) and np.ndim(given) == 1
    values = list(given) if several else [given]
    if len(values) != config.num_values or not all(_is_number(value) for value in values):
        wanted = "a number" if config.num_values == 1 else f"{config.num_values} numbers"
        raise TypeError(f"{config.function} returned {given!r:.200}; it must return {wanted}")
    return tuple(float(value) for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real | np.number) or (isinstance(value, np.ndarray) and value.ndim == 0)
