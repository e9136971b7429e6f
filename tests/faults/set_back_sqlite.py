"""A SQLite file is set back under a sweep that runs: an older copy takes its name, or is restored into it."""

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

from faults.fault import Fault
from faults.sweep_process import Sweep, SweepProcess, differences, run_to_end, wait_for_epochs

SWEEP = Sweep(12, "tpe", 2, 0.05)
MOST_BEFORE, MOST_LOST = 30, 12  # epochs
WORDS = ("older than what was reported", "removed or replaced while the sweep ran")


def set_back(count: int, seed: int, folder: Path) -> list[str]:
    """By a few epochs, of studies one after the other."""
    chooser, violations = random.Random(seed), []
    for number in range(count):
        found = _live(folder / str(number), chooser, is_replaced=number % 2 == 0)
        violations += [f"{number}: {problem}" for problem in found]
    return violations


def _live(place: Path, chooser: random.Random, *, is_replaced: bool) -> list[str]:
    process, older, num_kept = SweepProcess(SWEEP, place), place / "older.db", chooser.randint(3, MOST_BEFORE)
    wait_for_epochs(process, place, num_kept)
    _copy(place / "sweep.db", older)
    is_ahead = wait_for_epochs(process, place, num_kept + chooser.randint(3, MOST_LOST))
    if is_replaced:
        os.replace(older, place / "sweep.db")
    else:
        _copy(older, place / "sweep.db")
    code, output = process.end(), process.output
    is_said = code == 2 and any(words in output for words in WORDS) and "same command" in output
    violations = [f"ended with {code}: {output[-700:]}"] if is_ahead and not is_said else []
    return violations + [f"then: {problem}" for problem in run_to_end(SWEEP, place) or differences(SWEEP, place)]


def _copy(source: Path, target: Path) -> None:
    """By SQLite's own backup: the `.backup` and `.restore` of its shell."""
    with closing(sqlite3.connect(source, 30)) as read, closing(sqlite3.connect(target, 30)) as written:
        read.backup(written)


FAULTS = [
    Fault(
        "a SQLite file is set back under a sweep",
        "one line says so, exit code 2; the same command resumes, equal to the unbroken study",
        50,
        2,
        set_back,
    )
]
