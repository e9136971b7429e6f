"""kill -9 at a named system call on the database's files, of every kind, from the first start on; then again."""

import random
import signal
from pathlib import Path

from faults.fault import Fault
from faults.strace import missing, tracing
from faults.sweep_process import Sweep, SweepProcess, differences, run_to_end

SWEEP = Sweep(4)
MOST = {  # of a call in one sweep
    **{"unlink": 12, "link": 1, "fsync": 4, "rename": 1, "mkdir": 2, "flock": 3, "ftruncate": 6, "openat": 60},
    **{"fdatasync": 100, "pwrite64": 500},
}
MOST_KILLS = 3  # of one study


def kill_at_calls(count: int, seed: int, folder: Path) -> list[str]:
    """Study after study, each killed a few times."""
    chooser, violations, num_kills, number = random.Random(seed), [], 0, 0
    while num_kills < count:
        number += 1
        place, killed = folder / str(number), []
        for _ in range(chooser.randint(1, MOST_KILLS)):
            call = chooser.choice(sorted(MOST))
            killed.append(f"{call}:signal=KILL:when={int(MOST[call] ** chooser.random())}")
            process = SweepProcess(
                SWEEP, place, before=tracing(place, place.with_suffix(".strace"), [call], killed[-1])
            )
            code = process.end()
            num_kills += 1
            if code not in (0, -signal.SIGKILL):
                violations.append(f"{killed}: ended with {code}: {process.output[-700:]}")
        violations += [f"{killed}: {problem}" for problem in run_to_end(SWEEP, place) or differences(SWEEP, place)]
    return violations


FAULTS = [
    Fault(
        "kill -9 at a system call on the database's files",
        "the same command resumes, equal to the unbroken study",
        100,
        3,
        kill_at_calls,
        missing,
    )
]
