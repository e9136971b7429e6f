"""An engine that calls functions instead of training, without Keras.

A function that has no argument `trial` is one epoch. One that has it trains in a loop of its own: each of its reports
is an epoch (`sweep.engines.own_loop`). The lanes are advanced one after the other. A function is a user's code, so
whatever it raises ends its own run alone.
"""

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from numbers import Real
from typing import Any

import numpy as np

from sweep.config.function import FunctionConfig, value_names
from sweep.engines.base import Answer, EpochRecord, Outcome, Suggestion
from sweep.engines.loaded_seeding import seed_loaded
from sweep.engines.own_loop import OwnLoop
from sweep.errors import ends_process
from sweep.space.functions import arguments, find_function, takes_trial


class FunctionEngine:
    """Follows the `Engine` protocol with `FunctionConfig`s.

    Args:
        num_lanes: How many functions are called at once.
        pause: Called before each call, and all the time while a function's own loop trains; it may raise.
    """

    def __init__(self, num_lanes: int = 1, pause: Callable[[], None] = lambda: None) -> None:
        self.num_lanes = num_lanes
        self._pause = pause
        self._runs: dict[int, Callable[[], Outcome | Suggestion]] = {}
        self._over: set[int] = set()
        self._loops: dict[int, OwnLoop] = {}
        self.questions: dict[int, Suggestion] = {}
        self._ending: list[OwnLoop] = []  # they have lost their lane, and may still be cleaning up

    def admit(self, lane: int, config: FunctionConfig) -> None:
        """Take a call. SpaceError if the function cannot be found."""
        if lane in self._runs:
            raise ValueError(f"lane {lane} is not free")
        if takes_trial(find_function(config.function), config.params):
            loop = OwnLoop(config, partial(call, config), self._pause)
            self._loops[lane] = loop
            self._runs[lane] = loop.advance
        else:
            self._runs[lane] = lambda: _outcome(config)

    def evict(self, lane: int) -> None:
        """Free a lane. A loop that has not ended learns that it is pruned."""
        self._runs.pop(lane, None)
        self._over.discard(lane)
        self.questions.pop(lane, None)
        loop = self._loops.pop(lane, None)
        if loop is not None:
            loop.stop()
            self._ending.append(loop)

    def train_epoch(self, lanes: Collection[int] | None = None) -> dict[int, Outcome]:
        """Call the function of every lane that was not called yet, or have its loop continue to its next report."""
        open_lanes = self._runs.keys() - self._over - self.questions.keys()
        due = [lane for lane in sorted(open_lanes) if lanes is None or lane in lanes]
        while self._ending:  # functions share the global generators and the device
            self._ending[0].wait_for_end()
            del self._ending[0]
        outcomes: dict[int, Outcome] = {}
        for lane in due:
            self._pause()
            outcome = self._runs[lane]()
            if isinstance(outcome, Suggestion):
                self.questions[lane] = outcome
                continue
            outcomes[lane] = outcome
            if not isinstance(outcome, EpochRecord) or outcome.is_last:
                self._over.add(lane)
        return outcomes

    def answer(self, lane: int, answer: Answer) -> None:
        """Answer the question of a lane; `train_epoch` then continues its function."""
        del self.questions[lane]
        self._loops[lane].answer = answer

    def model(self, lane: int) -> Any:
        """There is none."""
        raise TypeError("a function has no model")


def _outcome(config: FunctionConfig) -> Outcome:
    seed_loaded(config.seed)
    started = time.perf_counter()
    try:
        values = call(config, None)
    except BaseException as error:
        if ends_process(error):
            raise
        return error
    return EpochRecord(1, values, time.perf_counter() - started, is_last=True, best_epoch=1)


def call(config: FunctionConfig, trial: Any) -> dict[str, float]:
    """The values of a function's call by name. Raises what it raises; TypeError if it returns something else."""
    function = find_function(config.function)
    given = function(**arguments(function, config.params, trial))
    return dict(zip(value_names(config.num_values), _as_values(given, config), strict=True))


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
