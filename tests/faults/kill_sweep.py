"""kill -9 of the sweep in every window and at random moments; the same command each time, until the study is done."""

import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from faults.fault import Fault
from faults.sweep_process import Sweep, SweepProcess, count_rows, differences, wait_for_epochs

SWEEPS = [Sweep(24, sampler, num_lanes) for sampler in ("random", "tpe") for num_lanes in (1, 4)]
GOES_ON_IN_S = 5.0
WENT_ON = "trains a new epoch after {:.3f} s"
# window -> the class or module and its function, and the side of it
ANY_TIME = {
    "in the schema": ("sweep.storage.sqlite.backend", "_create_schema", "after"),
    "after the study's creation": ("sweep.tuning.study", "create_study", "after"),
    "before resuming": ("sweep.tuning.resume.Resume", "find", "before"),
    "after resuming": ("sweep.tuning.resume.Resume", "find", "after"),
}
ONCE_FURTHER = {  # two deaths in one epoch of a trial are held against it, by design
    "between ask and start": ("sweep.tuning.running_trials.RunningTrials", "start", "before"),
    "between epochs": ("sweep.executors.in_process.InProcessExecutor", "wait", "before"),
    "before report": ("sweep.executors.in_process.InProcessExecutor", "wait", "after"),
    "between report and prune": ("sweep.tuning.study.SweepStudy", "should_prune", "before"),
    "before tell": ("sweep.tuning.study.SweepStudy", "tell_number", "before"),
    "after tell": ("sweep.tuning.study.SweepStudy", "tell_number", "after"),
    "before commit": ("sweep.storage.pending_rows.PendingRows", "write", "after"),
    "after commit": ("sweep.tuning.tuner.Tuner", "_handle", "after"),
    "before closing": ("sweep.storage.WriteBehindStorage", "close", "before"),
    "after closing": ("sweep.storage.WriteBehindStorage", "close", "after"),
}
REPEATING, AT_RANDOM = "while stored epochs are repeated", "at a random moment"
WINDOWS = [*ANY_TIME, *ONCE_FURTHER, REPEATING, *[AT_RANDOM] * 4]


def kill_sweeps(count: int, seed: int, folder: Path) -> list[str]:
    """Sweep after sweep, each killed until it is done."""
    chooser, violations, number, slowest_s = random.Random(seed), [], 0, 0.0
    kills: Counter[str] = Counter()  # by window
    while kills.total() < count:
        number += 1
        sweep, place, code = chooser.choice(SWEEPS), folder / str(number), -signal.SIGKILL
        while code == -signal.SIGKILL:
            window = chooser.choice(WINDOWS) if kills.total() < count else "never"
            code, output = _live_once(sweep, place, window, chooser)
            kills[window] += code == -signal.SIGKILL
            slowest_s = max([slowest_s, *map(float, re.findall(WENT_ON.format(0).replace("0.000", "(.*)"), output))])
        if code != 0:
            violations.append(f"sweep {number}: ended with {code} after {window}: {output[-500:]}")
        violations += differences(sweep, place)
    print(f"{number} sweeps killed {dict(+kills)}; at most {slowest_s:.1f} s from start to a new epoch", flush=True)
    return violations + ([f"went on after {slowest_s:.1f} s"] if slowest_s > GOES_ON_IN_S else [])


def _live_once(sweep: Sweep, folder: Path, window: str, chooser: random.Random) -> tuple[int, str]:
    """Exit code and output of one process; a window that it does not pass so often lets it end."""
    num_before = count_rows(folder)
    process = SweepProcess(sweep, folder, before=partial(die_at, window, chooser.randint(1, 8)))
    if window == AT_RANDOM and wait_for_epochs(process, folder, num_before + 1):
        time.sleep(chooser.uniform(0, 0.3))
        process.send(signal.SIGKILL)
    code = process.end()
    return (1 if code is None else code), process.output


def die_at(window: str, passage: int) -> None:
    """Let this process kill itself when it passes a window the so-many-th time; say when it trains something new."""
    from sweep.tuning.tuner import Tuner

    state = {"left": passage, "is_further": window in ANY_TIME}
    started, handle = time.monotonic(), Tuner._handle

    def reach() -> None:
        state["left"] -= state["is_further"]
        if state["is_further"] and (state["left"] == 0 or window in ANY_TIME):
            os.kill(os.getpid(), signal.SIGKILL)

    def handle_and_look(tuner: Any, events: Any) -> None:
        is_repeating = tuner._resume_plan.is_repeating
        if is_repeating and window == REPEATING:
            state["is_further"] = True
            reach()
        handle(tuner, events)
        if not is_repeating and not state.get("went_on"):
            state["went_on"] = state["is_further"] = True
            print(WENT_ON.format(time.monotonic() - started), flush=True)

    Tuner._handle = handle_and_look  # type: ignore[method-assign]
    place = ANY_TIME.get(window) or ONCE_FURTHER.get(window)
    if place is not None:
        _call_at(*place, reach)


def _call_at(owner: str, name: str, side: str, reach: Callable[[], None]) -> None:
    """Wrap a function so that `reach` is called before or after it."""
    import pkgutil

    holder = pkgutil.resolve_name(owner)
    original = getattr(holder, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        if side == "before":
            reach()
        result = original(*arguments, **options)
        if side == "after":
            reach()
        return result

    setattr(holder, name, wrapped)


FAULTS = [
    Fault(
        "kill -9 the sweep",
        "equal to the unbroken study, trial by trial; under 5 s to go on (imports and retraining aside)",
        200,
        3,
        kill_sweeps,
    )
]
