"""A folder or database that is missing, read-only, not permitted or something else: one line, no trial is burned."""

import ctypes
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faults.fault import Fault
from faults.sweep_process import Sweep, SweepProcess, differences, run_halfway, run_to_end, wait_for_epochs
from sweeps import read_trials

SWEEP = Sweep(12, "tpe", 4, 0.02)
SAYS_SO_IN_S = 5.0
CAPABILITY_VERSION = 0x20080522
IGNORING_PERMISSIONS = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


def deny_writes(count: int, seed: int, folder: Path) -> list[str]:
    """Each way in turn, from a random one on, on a study that is half done."""
    first = random.Random(seed).randrange(len(WAYS))
    names = [list(WAYS)[(first + number) % len(WAYS)] for number in range(count)]
    violations = run_halfway(SWEEP, folder / "half")
    for number, name in enumerate(names):
        place = folder / str(number)
        shutil.copytree(folder / "half", place)
        violations += [f"{name}: {violation}" for violation in _live_denied(place, WAYS[name])]
    return violations


def _live_denied(folder: Path, way: Callable[[Path], Any]) -> list[str]:
    before = read_trials(folder)
    with way(folder) as (studies, removes):
        process = SweepProcess(SWEEP, studies, before=obey_permissions)
        if removes and wait_for_epochs(process, folder, 1 + sum(len(trial["intermediate_values"]) for trial in before)):
            folder.rename(folder.with_name(f"{folder.name}-moved"))
        code, seconds, output = process.end(SAYS_SO_IN_S), time.monotonic() - process.started, process.output
    if removes:
        folder.with_name(f"{folder.name}-moved").rename(folder)
    last = output.splitlines()[-1] if output else ""
    is_said = code == 2 and last.startswith("sweep: ") and "Traceback" not in output
    found = [] if is_said else [f"ended with {code} after {seconds:.1f} s: {output[-1500:]}"]
    if removes:  # it was further than before
        return found + run_to_end(SWEEP, folder) + differences(SWEEP, folder)
    return found if read_trials(folder) == before else [*found, "the study was changed"]


def obey_permissions() -> None:
    """Root ignores them until it gives that up; a file's owner obeys its mode."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; the lower 32, then the upper
    if libc.capget(header, sets) == 0:
        sets[0] &= ~IGNORING_PERMISSIONS
        sets[1] &= ~IGNORING_PERMISSIONS
        libc.capset(header, sets)


# ---- ways: the folder to sweep in while something is wrong, and whether it is to be removed while the sweep runs ----


@contextmanager
def _mode(path: Path, mode: int) -> Iterator[None]:
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


def file_of_mode(name: str, mode: int) -> Callable[[Path], Any]:
    """The way in which a file of the folder has this mode."""

    @contextmanager
    def way(folder: Path) -> Iterator[tuple[Path, bool]]:
        with _mode(folder / name, mode):
            yield folder, False

    return way


@contextmanager
def read_only_folder(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Without the log, which could be written as it is."""
    for suffix in ("-wal", "-shm"):
        (folder / f"sweep.db{suffix}").unlink(missing_ok=True)
    with _mode(folder, 0o555):
        yield folder, False


@contextmanager
def missing_folder(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Which cannot be made either."""
    with _mode(folder, 0o555):
        yield folder / "studies", False


@contextmanager
def file_for_folder(folder: Path) -> Iterator[tuple[Path, bool]]:
    yield folder / "sweep.db", False


@contextmanager
def folder_for_database(folder: Path) -> Iterator[tuple[Path, bool]]:
    moved = folder / "moved.db"
    (folder / "sweep.db").rename(moved)
    (folder / "sweep.db").mkdir()
    yield folder, False
    (folder / "sweep.db").rmdir()
    moved.rename(folder / "sweep.db")


@contextmanager
def read_only_mount(folder: Path) -> Iterator[tuple[Path, bool]]:
    """A folder of mode 555 where this process may not mount."""
    bound = subprocess.run(["mount", "--bind", folder, folder], capture_output=True).returncode == 0
    if not bound:
        with read_only_folder(folder) as way:
            yield way
        return
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield folder, False
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def removed_folder(folder: Path) -> Iterator[tuple[Path, bool]]:
    yield folder, True


WAYS: dict[str, Callable[[Path], Any]] = {
    "the database is read-only": file_of_mode("sweep.db", 0o444),
    "the database cannot be read": file_of_mode("sweep.db", 0),
    "the folder is read-only": read_only_folder,
    "the lock is read-only": file_of_mode(".sweep.db.study.lock", 0o444),
    "the folder is missing and cannot be made": missing_folder,
    "a file stands for the folder": file_for_folder,
    "a folder stands for the database": folder_for_database,
    "the file system is mounted read-only": read_only_mount,
    "the folder is removed while it runs": removed_folder,
}


FAULTS = [
    Fault(
        "database read-only, folder missing or not writable",
        "one line within 5 s, exit code 2, no trial burned; once mended, equal to the unbroken study",
        20,
        5,
        deny_writes,
    )
]
