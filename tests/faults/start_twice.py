"""The same command two or three times at one instant: one runs, the others are refused."""

import random
import signal
import time
from pathlib import Path

from faults.fault import Fault
from faults.sweep_process import Sweep, SweepProcess, differences, run_halfway

SWEEPS = [Sweep(8, "random", num_lanes, 0.02) for num_lanes in (1, 4)]


def start_twice(count: int, seed: int, folder: Path) -> list[str]:
    """Now on no database, now on a study that is half done."""
    chooser, violations = random.Random(seed), []
    for number in range(count):
        sweep, place = chooser.choice(SWEEPS), folder / str(number)
        if chooser.random() < 0.4:
            violations += run_halfway(sweep, place, chooser.choice((signal.SIGINT, signal.SIGKILL)))
        begin_at = time.monotonic() + 0.3
        delays_s = [chooser.choice((0.0, chooser.uniform(0, 0.05))) for _ in range(chooser.choice((2, 2, 3)))]
        processes = [SweepProcess(sweep, place, begin_at=begin_at + delay_s) for delay_s in delays_s]
        codes = [process.end() for process in processes]
        winners = [process for process, code in zip(processes, codes, strict=True) if code == 0]
        if len(winners) == 1:
            refusal = f"sweep: study study is being swept by process {winners[0].pid}; "
            losers = [process for process in processes if process is not winners[0]]
            found = [loser.output for loser in losers if not loser.output.startswith(refusal)]
        else:
            found = [f"{codes}"]
        if any(code not in (0, 2) for code in codes) or any("Traceback" in process.output for process in processes):
            found += [process.output for process in processes]
        violations += [f"start {number}: {problem[-500:]}" for problem in found] + differences(sweep, place)
    return violations


FAULTS = [
    Fault(
        "two sweeps started at once on one study",
        "exactly one runs, the others are refused with its PID; every trial exactly once",
        100,
        3,
        start_twice,
    )
]
