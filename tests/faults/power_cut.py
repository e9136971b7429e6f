"""A power cut: every write and fsync of `sweep run` is recorded once, and what a cut may leave rebuilt; then resumed.

What was not synced may be lost, in part or as a whole, come in any order, be torn at a sector, or be zeros in a file
that has grown; names are in their order, as journaling file systems keep them.
"""

import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

from faults.fault import Fault
from faults.strace import missing, tracing
from faults.sweep_process import Sweep, SweepProcess, differences, run_halfway, run_to_end

SWEEP = Sweep(6, num_lanes=2)
CALLS = ("openat", "pwrite64", "fsync", "fdatasync", "ftruncate", "unlink", "rename", "link", "mkdir")
LINE = re.compile(r"(?:\d+ +)?(\w+)\((.*)\) += (\d+)")
TEXT, FILE = re.compile(r'"((?:\\x[0-9a-f]{2})*)"'), re.compile(r"\d+<((?:\\x[0-9a-f]{2})+)>")
SECTOR_BYTES = 512
Change = tuple[int, bytes | None]  # where, and what is written; None: the file is cut off or grows to there


@dataclass
class File:
    """Its content on the disk, and what has been written since the last fsync."""

    durable: bytes = b""
    pending: list[Change] = field(default_factory=list)


Names = dict[str, File | None]  # a folder is None
Call = tuple[str, list[str], Change | None, str]  # name, the files, what a write or ftruncate does, flags


def cut_power(count: int, seed: int, folder: Path) -> list[str]:
    """A third of the images are of a sweep that was resumed."""
    chooser, violations = random.Random(seed), []
    for is_resumed, share in ((False, count - count // 3), (True, count // 3)):
        place = folder / ("resumed" if is_resumed else "new")
        if share:
            violations += run_halfway(SWEEP, place) if is_resumed else []
            violations += _cut_and_resume(share, chooser, place)
    return violations


def _cut_and_resume(count: int, chooser: random.Random, place: Path) -> list[str]:
    (place / "backups").mkdir(parents=True, exist_ok=True)
    before: Names = {str(path): File(path.read_bytes()) for path in place.rglob("*") if path.is_file()}
    log = place.with_suffix(".strace")
    process = SweepProcess(SWEEP, place, before=tracing(place, log, CALLS, content=True))
    if process.end() != 0:
        return [f"the recording: {process.output[-500:]}"]
    calls, database = list(_parse(log)), str(place / "sweep.db")
    after = _names_after(calls, deepcopy(before), random.Random(0))[0][database]
    if after is None or _content(after, after.pending) != (place / "sweep.db").read_bytes():
        return ["the recording is not complete"]
    violations = []
    for number in range(count):
        cut, way = chooser.randrange(len(calls) + 1), chooser.choice(sorted(WAYS))
        _rebuild(place, *_names_after(calls[:cut], deepcopy(before), chooser), way, chooser)
        found = run_to_end(SWEEP, place) or differences(SWEEP, place)
        violations += [f"image {number}, {cut} of {len(calls)} calls, {way}: {problem}" for problem in found]
    return violations


def _parse(log: Path) -> Iterator[Call]:
    for line in log.read_text(errors="replace").splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        name, arguments, _ = match.groups()
        texts, file = [_bytes(text) for text in TEXT.findall(arguments)], FILE.match(arguments)
        names = [_bytes(file[1]).decode()] if file else [text.decode() for text in texts]
        at = int(arguments.rsplit(", ", 1)[1]) if name in ("pwrite64", "ftruncate") else 0
        change = (at, texts[0]) if name == "pwrite64" else (at, None) if name == "ftruncate" else None
        if name == "openat":
            names = [text.decode() for text in texts]
        yield name, names, change, arguments


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _names_after(calls: list[Call], names: Names, chooser: random.Random) -> tuple[Names, Names]:
    """As the process sees them, and as they are on the disk: of one moment since the last fsync."""
    history = [dict(names)]
    for call, files, change, flags in calls:
        first, file = files[0], names.get(files[0])
        if call == "openat" and "O_CREAT" in flags and first not in names:
            names[first] = File()
        elif call == "openat" and "O_TRUNC" in flags and file is not None:
            file.pending.append((0, None))
        elif change is not None and file is not None:
            file.pending.append(change)
        elif call in ("fsync", "fdatasync"):
            if file is not None:
                file.durable, file.pending = _content(file, file.pending), []
            history = []
        elif call == "unlink":
            names.pop(first, None)
        elif call == "rename":
            names[files[1]] = names.pop(first)
        elif call == "link":
            names[files[1]] = names[first]
        elif call == "mkdir":
            names[first] = None
        history.append(dict(names))
    return names, chooser.choice(history)


def _content(file: File, changes: list[Change]) -> bytes:
    content = bytearray(file.durable)
    for at, written in changes:
        content.extend(bytes(max(0, at - len(content))))
        if written is None:
            del content[at:]
        else:
            content[at : at + len(written)] = written
    return bytes(content)


def _rebuild(place: Path, seen: Names, on_disk: Names, way: str, chooser: random.Random) -> None:
    """The folder as the cut leaves it."""
    shutil.rmtree(place)
    (place / "backups").mkdir(parents=True)
    for path, file in (seen if way == "all" else on_disk).items():
        if file is None:
            os.makedirs(path, exist_ok=True)
        else:
            Path(path).write_bytes(_content(file, list(WAYS[way](file.pending, chooser))))


def _first(changes: list[Change], chooser: random.Random) -> list[Change]:
    return changes[: chooser.randint(0, len(changes))]


def _some(changes: list[Change], chooser: random.Random) -> list[Change]:
    return [change for change in changes if chooser.random() < 0.5]


def _zeros(changes: list[Change], chooser: random.Random) -> Iterator[Change]:
    for at, written in changes:
        is_lost = written is not None and chooser.random() < 0.5
        yield at, bytes(len(written or b"")) if is_lost else written


def _sectors(changes: list[Change], chooser: random.Random) -> Iterator[Change]:
    for at, written in changes:
        if written is None:
            yield at, None
            continue
        for start in range(0, len(written), SECTOR_BYTES):
            if chooser.random() < 0.6:
                yield at + start, written[start : start + SECTOR_BYTES]


WAYS: dict[str, Callable[[list[Change], random.Random], Iterator[Change] | list[Change]]] = {
    "none": lambda changes, _: [],
    "all": lambda changes, _: changes,
    "first": _first,
    "some": _some,
    "zeros": _zeros,
    "sectors": _sectors,
}

FAULTS = [
    Fault(
        "power cut: unsynced writes lost, reordered, torn",
        "the same command resumes, equal to the unbroken study",
        250,
        4,
        cut_power,
        missing,
    )
]
