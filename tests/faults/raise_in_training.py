"""Builders and data that raise: the sweep goes on, and stops at three identical errors or five failures in a row."""

import random
from pathlib import Path

from faults.fault import Fault
from sweeps import make_space, read_trials, run_sweep

from sweep.config.trial import TrialConfig
from sweep.engines.fake import FakeEngine
from sweep.errors import MAX_FAILURES, DataError, SweepStopped
from sweep.executors.in_process import InProcessExecutor

NUM_TRIALS = 40


class Own(BaseException):
    """Of a user's code."""


ERRORS = (ValueError, TypeError, DataError, SystemExit, Own)


class RaisingEngine(FakeEngine):
    """Cannot build some of its configs; `pattern` says for each admission which error it is, -1 for none."""

    def __init__(self, pattern: list[int]) -> None:
        super().__init__(1)
        self._pattern = iter(pattern)

    def admit(self, lane: int, config: TrialConfig) -> None:
        kind = next(self._pattern)
        if kind >= 0:
            raise ERRORS[kind](f"error {kind}")
        super().admit(lane, config)


def raise_at_random(count: int, seed: int, folder: Path) -> list[str]:
    """Each trial raises with probability 0.6; it must end at three equal errors or five failures in a row."""
    chooser = random.Random(seed)
    violations, injected, sweep_number = [], 0, 0
    while injected < count:
        pattern = [chooser.randrange(len(ERRORS)) if chooser.random() < 0.6 else -1 for _ in range(NUM_TRIALS)]
        expected = _expected_end(pattern)
        place = folder / str(sweep_number)
        sweep_number += 1
        try:
            run_sweep(place, make_space(epochs=2), NUM_TRIALS, executor=InProcessExecutor(RaisingEngine(pattern)))
            stopped = False
        except SweepStopped:
            stopped = True
        states = ["FAIL" if trial["state"] == "FAIL" else "TOLD" for trial in read_trials(place)]
        wanted = ["TOLD" if kind < 0 else "FAIL" for kind in pattern[:expected]]
        if states != wanted or stopped != (expected < NUM_TRIALS or _is_to_stop(pattern[:expected])):
            violations.append(f"sweep {sweep_number}: {states} after {pattern[:expected]}, stopped: {stopped}")
        injected += sum(kind >= 0 for kind in pattern[:expected])
    return violations


def _expected_end(pattern: list[int]) -> int:
    return next((i for i in range(1, len(pattern) + 1) if _is_to_stop(pattern[:i])), len(pattern))


def _is_to_stop(pattern: list[int]) -> bool:
    three_equal = len(pattern) >= 3 and pattern[-1] >= 0 and len(set(pattern[-3:])) == 1
    return three_equal or (len(pattern) >= MAX_FAILURES and min(pattern[-MAX_FAILURES:]) >= 0)


FAULTS = [
    Fault(
        "builder or data raises",
        "that trial FAILs with its cause; three identical errors or five failures in a row stop the sweep",
        1000,
        30,
        raise_at_random,
    )
]
