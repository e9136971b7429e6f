"""A user's code forks processes that outlive the sweep; the sweep is killed, and the same command resumes at once."""

import os
import random
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w
from faults.fault import Fault
from faults.sweep_process import Sweep, SweepProcess, wait_for_trials
from sweeps import read_trials

CODE = '''
import os, time

def forking(x):
    """A process that a library keeps, say."""
    if not os.fork():
        time.sleep(120)
        os._exit(0)
    with open(os.path.join(os.path.dirname(__file__), "forked"), "a") as file:
        file.write("x")
    time.sleep(0.05)
    return x**2

def returning(x):
    """A child that comes back."""
    if not os.fork():
        raise SystemExit("the child's end")
    os.wait()
    return x**2
'''
ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class FunctionSweep(Sweep):
    """Of a function in this process."""

    function: str = "forking"

    def arguments(self, folder: Path) -> list[str]:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "forking_code.py").write_text(CODE)
        space: dict[str, Any] = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
        study = {"name": "study", "function": f"forking_code:{self.function}"}
        (folder / "space.toml").write_text(tomli_w.dumps({"study": study, "space": space}))
        shared = ["--trials", str(self.num_trials), "--workers", "0", "--studies", str(folder), "--quiet"]
        return ["run", str(folder / "space.toml"), *shared]


def fork_in_training(count: int, seed: int, folder: Path) -> list[str]:
    """Killed with the children of some trials alive; of every second study the children come back into the sweep."""
    chooser, violations = random.Random(seed), []
    for number in range(count):
        place, function = folder / str(number), ("forking", "returning")[number % 2]
        sweep = FunctionSweep(8, function=function)
        process = SweepProcess(sweep, place, before=_lead_group)
        end = chooser.choice(ENDS)
        if function == "forking" and wait_for_trials(process, place, chooser.randint(1, 4)):
            process.send(end)
        codes = [process.end()]
        again = SweepProcess(sweep, place, before=_lead_group)
        codes.append(again.end())
        for leader in (process, again):
            with suppress(ProcessLookupError):
                os.killpg(leader.pid, signal.SIGKILL)
        states = [trial["state"] for trial in read_trials(place)]
        if codes[1] != 0 or states != ["COMPLETE"] * 8:
            violations.append(f"{number}, {function}, {end!r}: {codes}, {states}: {again.output[-700:]}")
    return violations


def _lead_group() -> None:
    """So that the children can be ended with it."""
    os.setpgid(0, 0)
    sys.modules.pop("forking_code", None)


FAULTS = [
    Fault(
        "a user's code forks processes that outlive the sweep",
        "the same command resumes at once; a child that comes back writes nothing",
        20,
        2,
        fork_in_training,
    )
]
