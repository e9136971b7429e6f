"""`sweep run` on the fake engine as a process of its own, and its study compared with the unbroken one.

The command's own `main` runs in a process that is forked off one which has done the imports: the same process in all
that matters here, but for two seconds of imports. `faults.kill` starts the command itself.
"""

import multiprocessing
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import tomli_w
from sweeps import RANDOM_SPACE, read_trials

from sweep.storage.damage import find_any_damage
from sweep.storage.sqlite.wal import loses_transactions

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "sweep.cli.run",
        "sweep.tuning.plan",
        "sweep.tuning.session",
        "sweep.executors.auto",
        "sklearn.datasets",
        "alembic.context",
    ]
)
EPOCHS = 5
false_alarms: list[str] = []  # a process said that a file is damaged, which passes its checks
ENDS_IN_S = 240.0  # or it hangs


@dataclass(frozen=True)
class Sweep:
    """What is swept; equal ones have equal trials."""

    num_trials: int = 12
    sampler: str = "random"
    num_lanes: int = 1
    epoch_s: float = 0.0

    def arguments(self, folder: Path) -> list[str]:
        """Of the command that puts the study into a folder."""
        space = folder.with_suffix(".toml")
        content = {
            "study": {"name": "study", "num_trials": self.num_trials},
            "sampler": {"name": self.sampler},
            "pruner": {"name": "median"},
            "training": {"epochs": EPOCHS},
            "space": RANDOM_SPACE,
        }
        space.parent.mkdir(parents=True, exist_ok=True)
        space.write_text(tomli_w.dumps(content))
        return ["run", str(space), "--engine", "fake", "--lanes", str(self.num_lanes), "--studies", str(folder)]


class SweepProcess:
    """One `sweep run`, begun at once, or when the monotonic clock shows `begin_at`.

    `before` is called in the process before the command: it sets the fault up.
    """

    def __init__(
        self, sweep: Sweep, folder: Path, *flags: str, before: Callable[[], None] | None = None, begin_at: float = 0.0
    ) -> None:
        self._database = folder / "sweep.db"
        self._output = folder.with_suffix(f".{time.monotonic_ns()}.txt")
        is_ready = CONTEXT.Event()
        arguments = [*sweep.arguments(folder), *flags]
        self._process = CONTEXT.Process(
            target=_run_command, args=(arguments, self._output, sweep.epoch_s, before, is_ready, begin_at)
        )
        self._process.start()
        is_ready.wait(ENDS_IN_S)
        self.started = time.monotonic()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def output(self) -> str:
        """What it has said on stdout and stderr."""
        return self._output.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.is_alive()

    def send(self, number: int) -> None:
        """A signal, if it is still there."""
        if self._process.is_alive():
            os.kill(self.pid, number)

    def end(self, within_s: float = ENDS_IN_S) -> int | None:
        """Its exit code, minus the signal's number if one killed it; None if it had to be killed after that time."""
        self._process.join(within_s)
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            self._process.join()
        if "not usable as a study database" in self.output and is_whole(self._database):
            false_alarms.append(f"{self._database}: {self.output[-700:]}")
        return code


def _run_command(
    arguments: list[str],
    output: Path,
    epoch_s: float,
    before: Callable[[], None] | None,
    is_ready: Any,
    begin_at: float,
) -> None:
    from sweep.cli.parser import main

    with output.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ["SWEEP_FAKE_EPOCH_S"] = str(epoch_s)
    if before is not None:
        before()
    is_ready.set()
    time.sleep(max(0.0, begin_at - time.monotonic()))
    sys.exit(main(arguments))


def is_whole(path: Path) -> bool:
    """Whether a database passes its checks, looked at in a copy."""
    with tempfile.TemporaryDirectory() as folder:
        for file in path.parent.glob(f"{path.name}*"):
            if file.is_file():
                shutil.copyfile(file, Path(folder) / file.name)
        copy = Path(folder) / path.name
        if not copy.exists() or not copy.stat().st_size or loses_transactions(copy.with_name(f"{copy.name}-wal")):
            return False
        try:
            with closing(sqlite3.connect(copy)) as database:
                (found,) = database.execute("PRAGMA integrity_check").fetchone()
                return found == "ok" and find_any_damage(database) is None
        except sqlite3.DatabaseError:
            return False


def run_to_end(sweep: Sweep, folder: Path, *flags: str) -> list[str]:
    """Run the command undisturbed; what it did wrong."""
    process = SweepProcess(sweep, folder, *flags)
    code = process.end()
    return [] if code == 0 else [f"{folder.name}: ended with {code}: {process.output[-500:]}"]


def run_halfway(sweep: Sweep, folder: Path, number: int = signal.SIGINT) -> list[str]:
    """End the command by a signal at about half of its epochs; what it did wrong."""
    process = SweepProcess(replace(sweep, epoch_s=0.005), folder)
    is_halfway = wait_for_epochs(process, folder, sweep.num_trials * EPOCHS // 3)
    process.send(number)
    code = process.end()
    return (
        []
        if is_halfway and code in (128 + number, -number)
        else [f"{folder.name}: ended with {code}: {process.output[-500:]}"]
    )


def differences(sweep: Sweep, folder: Path) -> list[str]:
    """Trials that are not as in the unbroken study."""
    trials, unbroken = read_trials(folder), unbroken_trials(sweep, folder.parent)
    found = [] if len(trials) == len(unbroken) else [f"{len(trials)} trials instead of {len(unbroken)}"]
    pairs = [(ours, theirs) for ours, theirs in zip(trials, unbroken, strict=False) if ours != theirs]
    found += [f"trial {ours['number']} is {_different(ours, theirs)}" for ours, theirs in pairs[:2]]
    return [f"{folder.name}: {problem}" for problem in found]


def _different(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    keys = [key for key in ours if ours[key] != theirs[key]]
    return f"{ {key: ours[key] for key in keys} }, not { {key: theirs[key] for key in keys} }"[:1000]


@lru_cache
def unbroken_trials(sweep: Sweep, folder: Path) -> list[dict[str, Any]]:
    """Of the study that nothing happened to, run in this folder when first asked for."""
    place = folder / f"unbroken-{sweep.num_trials}-{sweep.sampler}-{sweep.num_lanes}"
    assert run_to_end(Sweep(sweep.num_trials, sweep.sampler, sweep.num_lanes), place) == []
    return read_trials(place)


def count_rows(folder: Path, what: str = "trial_intermediate_values") -> int:
    """Rows of a table, 0 before there is one: by default the epochs that are stored."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'sweep.db'}?mode=ro", 30, uri=True)) as database:
            return int(database.execute(f"SELECT count(*) FROM {what}").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def wait_for_trials(process: SweepProcess, folder: Path, num_trials: int) -> bool:
    """Wait until so many trials are COMPLETE; False if the process ended before."""
    while count_rows(folder, "trials WHERE state = 'COMPLETE'") < num_trials:
        if not process.is_running:
            return False
        time.sleep(0.005)
    return True


def wait_for_epochs(process: SweepProcess, folder: Path, num_epochs: int) -> bool:
    """Wait until so many epochs are stored; False if the process ended before."""
    while count_rows(folder) < num_epochs:
        if not process.is_running:
            return False
        time.sleep(0.005)
    return True
