"""Another program locks the database for 1-60 s, again and again: before the start, while trials run, at the end."""

import random
import sqlite3
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from faults.fault import Fault
from faults.sweep_process import Sweep, SweepProcess, differences, run_halfway

SWEEPS = [Sweep(16, sampler, num_lanes, 0.01) for sampler in ("random", "tpe") for num_lanes in (1, 4)]
SIDE_BY_SIDE = 8
LOCKS_PER_SWEEP = 5
SHORTEST_S, LONGEST_S = 1.5, 60.0
SAID_AFTER_S = 2.5  # of a wait; it is said after about one


def lock_databases(count: int, seed: int, folder: Path) -> list[str]:
    """So many locks, of 60 s some of them where there are many, on sweeps side by side."""
    chooser = random.Random(seed)
    durations = [_draw_duration(chooser) if count > 10 else SHORTEST_S for _ in range(count)]
    for _ in range(count // 15):
        durations[chooser.randrange(count)] = LONGEST_S
    shares = [durations[first : first + LOCKS_PER_SWEEP] for first in range(0, count, LOCKS_PER_SWEEP)]
    sweeps = [chooser.choice(SWEEPS) for _ in shares]
    seeds = [chooser.randrange(2**31) for _ in shares]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        found = pool.map(_sweep_under_locks, sweeps, shares, seeds, [folder / str(i) for i in range(len(shares))])
        violations = [violation for violations in found for violation in violations]
    return violations + [problem for i, sweep in enumerate(sweeps) for problem in differences(sweep, folder / str(i))]


def _draw_duration(chooser: random.Random) -> float:
    """Mostly short."""
    return min(LONGEST_S, SHORTEST_S + chooser.expovariate(1 / 3))


def _sweep_under_locks(sweep: Sweep, durations: Sequence[float], seed: int, folder: Path) -> list[str]:
    """The study is there before, half done, so that the start can be locked too."""
    chooser = random.Random(seed)
    violations = run_halfway(sweep, folder)
    is_first = threading.Event()
    locker = threading.Thread(target=_lock_again_and_again, args=(folder / "sweep.db", durations, chooser, is_first))
    locker.start()
    if chooser.random() < 0.5:
        is_first.wait()
    process = SweepProcess(sweep, folder)
    code, output = process.end(), process.output
    locker.join()
    if code != 0 or "Traceback" in output:
        violations.append(f"{folder.name}: ended with {code}: {output[-500:]}")
    if output.count("waiting: another program has locked") != output.count("the database is free again"):
        violations.append(f"{folder.name}: the wait or its end is not said: {output}")
    if durations[0] > SAID_AFTER_S and "waiting: another program has locked" not in output:
        violations.append(f"{folder.name}: a wait of {durations[0]:.1f} s is not said: {output}")
    return violations


def _lock_again_and_again(
    path: Path, durations: Sequence[float], chooser: random.Random, is_first: threading.Event
) -> None:
    for duration in durations:
        with closing(sqlite3.connect(path, 60, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            is_first.set()
            time.sleep(duration)
        time.sleep(chooser.uniform(0.05, 0.3))


FAULTS = [
    Fault(
        "database locked by another process",
        "for 1-60 s: no false death, no crash, the wait is said; equal to the unbroken study",
        50,
        2,
        lock_databases,
    )
]
