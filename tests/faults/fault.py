"""What every injected fault has, and where they are found.

A module of this folder with a list `FAULTS` takes part: in the quick slice of the suite (`test_faults.py`), and in the
whole table (`run.py`).
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from faults.sweep_process import false_alarms

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Fault:
    """A row of the table. `run(count, seed, folder)` injects it so often and gives what it violated, a line each."""

    name: str
    holds: str  # what must be true however often it is injected
    count: int  # in the whole table
    quick: int  # in the suite; 0 if it takes too long there
    run: Callable[[int, int, Path], list[str]]
    missing: Callable[[], str | None] = lambda: None  # why it cannot be injected here
    needs: tuple[str, ...] = ()  # markers of the suite


def inject(fault: Fault, count: int, seed: int, folder: Path) -> list[str]:
    """Run it; what it violated, and where somebody was set to of damage to a file that passes its checks."""
    false_alarms.clear()
    return fault.run(count, seed, folder) + false_alarms


def all_faults() -> list[Fault]:
    """Of every module in this folder, by its name."""
    names = sorted(path.stem for path in HERE.glob("*.py") if "\nFAULTS = [" in path.read_text())
    modules = [importlib.import_module(f"faults.{name}") for name in names]
    return [fault for module in modules for fault in module.FAULTS]
