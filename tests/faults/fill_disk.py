"""The disk is full at a random write: before the start, while trials run, at the end; then freed, and the same command.

The disk is a tmpfs of a few megabytes that another file fills. Where this process may not mount one, files beyond a
random size are refused instead (RLIMIT_FSIZE), which SQLite reports as a disk that fails.
"""

import random
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from faults.fault import Fault
from faults.sweep_process import Sweep, SweepProcess, count_rows, differences, wait_for_epochs

SWEEPS = [Sweep(24, sampler, num_lanes) for sampler in ("random", "tpe") for num_lanes in (1, 4)]
DISK_BYTES = 6 * 2**20
PAGE_BYTES = 4096
WORDS = ("the disk is full; free some space", "the disk fails to read or write")


def fill_disks(count: int, seed: int, folder: Path) -> list[str]:
    """Sweep after sweep, each running out of disk until it is done."""
    chooser, violations, num_full, number = random.Random(seed), [], 0, 0
    while num_full < count:
        number += 1
        sweep, place, code = chooser.choice(SWEEPS), folder / str(number), 2
        with _small_disk(place) as is_mounted:
            while code == 2:
                fault = _live_on_full_disk if is_mounted else _live_with_small_files
                code, output = (fault if num_full < count else _live)(sweep, place, chooser)
                num_full += code == 2
                if "Traceback" in output or code not in (0, 2) or (code == 2 and not _is_said(output)):
                    violations.append(f"sweep {number}: ended with {code}: {output[-1500:]}")
            found = differences(sweep, place)
        violations += [f"sweep {number}: {violation}" for violation in found]
    return violations


def _is_said(output: str) -> bool:
    last = output.splitlines()[-1]
    return last.startswith("sweep: ") and any(words in last for words in WORDS)


@contextmanager
def _small_disk(folder: Path) -> Iterator[bool]:
    """A file system of its own; False if this process may not mount one."""
    folder.mkdir()
    options = f"size={DISK_BYTES}"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "sweep-test", folder], capture_output=True)
    is_mounted = mounted.returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)


def _live(sweep: Sweep, folder: Path, _: random.Random) -> tuple[int | None, str]:
    process = SweepProcess(sweep, folder)
    return process.end(), process.output


def _live_on_full_disk(sweep: Sweep, folder: Path, chooser: random.Random) -> tuple[int | None, str]:
    """Filled up to a random rest, before the start or at some epoch; freed when the process has ended."""
    filler = folder / "filler"
    is_at_start = chooser.random() < 0.3
    rest = chooser.choice((0, PAGE_BYTES, chooser.randrange(2**18)))
    num_epochs = count_rows(folder) + chooser.randint(1, 40)
    if is_at_start:
        _fill(filler, rest)
    process = SweepProcess(sweep, folder)
    if not is_at_start and wait_for_epochs(process, folder, num_epochs):
        _fill(filler, rest)
    code = process.end()
    filler.unlink(missing_ok=True)
    return code, process.output


def _fill(filler: Path, rest: int) -> None:
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(PAGE_BYTES)):
                pass
        except OSError:
            file.truncate(max(0, file.tell() - rest))


def _live_with_small_files(sweep: Sweep, folder: Path, chooser: random.Random) -> tuple[int | None, str]:
    num_bytes = max(count_rows(folder) * 400, 2**17) + chooser.randrange(2**20)
    process = SweepProcess(sweep, folder, before=partial(_refuse_bytes_beyond, num_bytes))
    return process.end(), process.output


def _refuse_bytes_beyond(num_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, resource.RLIM_INFINITY))


FAULTS = [
    Fault(
        "disk full at a random write, then freed",
        "one line says so, exit code 2; run the same command to resume, equal to the unbroken study",
        100,
        3,
        fill_disks,
    )
]
