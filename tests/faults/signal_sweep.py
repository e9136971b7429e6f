"""SIGINT, SIGTERM and SIGHUP at random moments, once or twice in a row; then the same command again."""

import random
import signal
import time
from pathlib import Path

from faults.fault import Fault
from faults.sweep_process import Sweep, SweepProcess, differences, wait_for_epochs
from sweeps import read_trials

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SWEEPS = [Sweep(24, sampler, num_lanes, 0.005) for sampler in ("random", "tpe") for num_lanes in (1, 4)]
DRAINED_IN_S = 5.0


def interrupt_sweeps(count: int, seed: int, folder: Path) -> list[str]:
    """Sweep after sweep, each interrupted until it is done."""
    chooser, violations, num_interrupted, number = random.Random(seed), [], 0, 0
    while num_interrupted < count:
        number += 1
        sweep, place, is_done = chooser.choice(SWEEPS), folder / str(number), False
        while not is_done:
            is_done, found = _live_once(sweep, place, chooser, interrupts=num_interrupted < count)
            num_interrupted += not is_done
            violations += [f"sweep {number}: {violation}" for violation in found]
        violations += differences(sweep, place)
    return violations


def _live_once(sweep: Sweep, folder: Path, chooser: random.Random, *, interrupts: bool) -> tuple[bool, list[str]]:
    """Whether the sweep is done, and what one process did wrong."""
    process = SweepProcess(sweep, folder)
    numbers = [chooser.choice(SIGNALS) for _ in range(2 if chooser.random() < 0.3 else 1)]
    if not interrupts or not _wait_for_moment(process, folder, chooser):
        code = process.end()
        return True, [] if code == 0 else [f"ended with {code}: {process.output[-500:]}"]
    sent = time.monotonic()
    for number in numbers:
        process.send(number)
        time.sleep(chooser.choice((0, chooser.uniform(0, 0.2))) if len(numbers) > 1 else 0)
    code, drained_s = process.end(), time.monotonic() - sent
    if code == 0:  # it was at its end
        return True, []
    return False, _problems(code, numbers, drained_s, process, folder)


def _wait_for_moment(process: SweepProcess, folder: Path, chooser: random.Random) -> bool:
    """A third of the moments lie in the start, the others between epochs; False if the process ended before."""
    if chooser.random() < 0.33:
        time.sleep(chooser.uniform(0, 0.5))
        return process.is_running
    is_running = wait_for_epochs(process, folder, chooser.randint(1, 60))
    time.sleep(chooser.uniform(0, 0.1))
    return is_running and process.is_running


def _problems(
    code: int | None, numbers: list[signal.Signals], drained_s: float, process: SweepProcess, folder: Path
) -> list[str]:
    """Of two signals that are sent at once, the kernel delivers either first."""
    name, output = " and ".join(number.name for number in numbers), process.output
    is_ours = code in [128 + number for number in numbers]
    is_ours = is_ours and "sweep: interrupted" in output[-200:]
    if len(numbers) > 1 and "study study in" not in output and not is_ours:
        return []  # before the command handles them, Python does what it does; nothing has begun
    is_before_ours = code in (-numbers[0], 130) and "study study in" not in output  # a shell says 128 + number
    found = [] if is_ours or is_before_ours else [f"{name}: ended with {code}: {output[-500:]}"]
    if "Traceback" in output and "Exception ignored" not in output:  # in a finalizer; the next check ends it
        found.append(f"{name}: a traceback: {output[-500:]}")
    if drained_s > DRAINED_IN_S:
        found.append(f"{name}: drained after {drained_s:.1f} s")
    failed = [trial for trial in read_trials(folder) if trial["state"] == "FAIL"] if "study study in" in output else []
    return found + [f"{name}: trial {trial['number']} is FAIL" for trial in failed]


FAULTS = [
    Fault(
        "SIGINT, SIGTERM, SIGHUP",
        "drained in 5 s, exit code 130, 143 or 129; run the same command to resume, equal to the unbroken study",
        100,
        4,
        interrupt_sweeps,
    )
]
