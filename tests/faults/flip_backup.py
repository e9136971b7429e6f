"""kill -9 of a process that backs up: what stands under a backup's name is good, and the study opens."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
from faults.fault import Fault
from sweeps import make_space, open_in, run_sweep

from sweep.storage import database_url
from sweep.storage.sqlite.backup import MOST_KEPT, back_up
from sweep.storage.sqlite.integrity import copy_problem

FILLER_BYTES = 8_000_000
LATEST_S = 0.4  # after the first backup
BACK_UP = """
import sys
from pathlib import Path
from sweep.storage.sqlite.backup import back_up
while True:
    print(back_up(Path(sys.argv[1])), flush=True)
"""


def kill_backups(count: int, seed: int, folder: Path) -> list[str]:
    """Each at a random moment of one of its first backups."""
    chooser = random.Random(seed)
    path = folder / "sweep.db"
    run_sweep(folder, make_space(), 4).write_behind.close()
    study = optuna.load_study(study_name="study", storage=database_url(folder))
    study.set_user_attr("filler", "x" * FILLER_BYTES)
    before = [trial.value for trial in study.trials]
    violations = []
    for number in range(count):
        _back_up_and_kill(path, chooser.uniform(0, LATEST_S))
        kept = [place for place in path.with_name("backups").iterdir() if not place.name.startswith(".")]
        problems = [f"{place.name}: {copy_problem(place)}" for place in kept if copy_problem(place) is not None]
        if len(kept) > MOST_KEPT + 1:  # the oldest goes when the next is there
            problems.append(f"{len(kept)} backups are kept")
        if [trial.value for trial in open_in(folder, make_space()).trials] != before:
            problems.append("the study is another one")
        violations += [f"kill {number}: {problem}" for problem in problems]
    back_up(path)
    left = sorted(place.name for place in path.with_name("backups").iterdir())
    if len(left) > MOST_KEPT + 1:  # and the lock's file
        violations.append(f"left behind: {left}")
    return violations


def _back_up_and_kill(path: Path, delay_s: float) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", BACK_UP, str(path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay_s)
        os.kill(process.pid, signal.SIGKILL)


FAULTS = [
    Fault(
        "backup killed",
        "every backup under its name is good, the study opens, and nothing is left behind",
        50,
        2,
        kill_backups,
    )
]
