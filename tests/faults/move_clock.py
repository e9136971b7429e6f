"""The wall clock jumps by an hour or a day, forward and back, while a sweep runs; the monotonic clock goes on."""

import datetime
import random
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from faults.fault import Fault
from faults.sweep_process import Sweep, SweepProcess, differences

SWEEPS = [Sweep(20, sampler, num_lanes, 0.01) for sampler in ("random", "tpe") for num_lanes in (1, 4)]
JUMPS_S = (3600, 86400, -3600, -86400)
BUDGET_S = 0.8
SLACK_S = 3.0  # a round, and what a busy machine adds
SAYS = "the clock jumped"


def move_clocks(count: int, seed: int, folder: Path) -> list[str]:
    """Sweep after sweep: to a budget of time, then to the end."""
    chooser, violations, num_jumps, number = random.Random(seed), [], 0, 0
    while num_jumps < count:
        number += 1
        sweep, place = chooser.choice(SWEEPS), folder / str(number)
        for flags in (("--timeout", f"{BUDGET_S}s"), ()):
            process = SweepProcess(sweep, place, *flags, before=partial(jump_now_and_then, chooser.randrange(2**31)))
            code = process.end()
            lasted_s, output = time.monotonic() - process.started, process.output
            num_jumps += output.count(SAYS)
            found = [] if code in (0, 3) else [f"ended with {code}: {output[-1000:]}"]
            found += _budget_problems(place, output, lasted_s) if flags else []
            violations += [f"sweep {number}: {violation}" for violation in found]
        violations += differences(sweep, place)
    return violations


def _budget_problems(folder: Path, output: str, lasted_s: float) -> list[str]:
    """Of a sweep that ended as its time was up, or had done all before."""
    study = optuna.load_study(study_name="study", storage=f"sqlite:///{folder / 'sweep.db'}")
    elapsed_s = study.user_attrs["elapsed_s"]
    is_up = "the timeout was reached" in output
    found = [] if 0 <= elapsed_s <= min(lasted_s, BUDGET_S + SLACK_S) else [f"elapsed_s is {elapsed_s}"]
    return found + ([f"the time was up after {lasted_s:.2f} s"] if is_up and lasted_s < BUDGET_S else [])


def jump_now_and_then(seed: int) -> None:
    """Give this process a wall clock that jumps between epochs, in every module that looks at one."""
    from sweep.tuning.tuner import Tuner

    chooser, handle, ahead_s = random.Random(seed), Tuner._handle, [0.0]
    real_time, real_datetime = time.time, datetime.datetime

    class JumpingDatetime(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real_datetime.now(tz) + datetime.timedelta(seconds=ahead_s[0])

    def jump_and_handle(tuner: Any, events: Any) -> None:
        if chooser.random() < 0.2:
            ahead_s[0] += chooser.choice(JUMPS_S)
            print(SAYS, flush=True)
        handle(tuner, events)

    Tuner._handle = jump_and_handle  # type: ignore[method-assign]
    time.time = lambda: real_time() + ahead_s[0]
    for name, module in list(sys.modules.items()):
        if name.startswith(("optuna", "sweep")) and getattr(module, "datetime", None) is real_datetime:
            module.datetime = JumpingDatetime  # type: ignore[attr-defined]


FAULTS = [
    Fault(
        "clock moved by an hour or a day",
        "no false death, budgets by the monotonic clock, elapsed_s right; equal to the unbroken study",
        40,
        4,
        move_clocks,
    )
]
