"""Files that are not the database: a full disk, a kill at any call, two processes at once, a folder that denies writes.

Each file that `export`, `report`, `init` and `retrain` write is whole or absent, and the same command undisturbed gives
what it gives where nothing happened.
"""

import json
import os
import random
import signal
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
from faults.deny_writes import obey_permissions
from faults.fault import Fault
from faults.fill_disk import _fill, _small_disk
from faults.sweep_process import CONTEXT, ENDS_IN_S, Sweep, _run_command, run_to_end

CONFIG = """[model]
family = "mlp"
hidden_units = [4]
[training]
epochs = 3
"""
WRITES = ("open", "os.rename", "os.remove", "os.mkdir")  # audit events
MOST_EVENTS = {"export": 12, "report": 5, "init": 60, "train": 60}
WHOLE: dict[str, Callable[[Path], Any]] = {
    ".html": lambda path: path.read_text().rstrip().index("</html>"),
    ".json": lambda path: json.loads(path.read_text()),
    ".keras": lambda path: zipfile.ZipFile(path).testzip(),
    ".npz": lambda path: zipfile.ZipFile(path).testzip(),
    ".h5": lambda path: h5py.File(path).close(),
}


@dataclass(frozen=True)
class Case:
    """A command that writes into `out`, with what it reads in the folder above."""

    command: str
    out: Path

    def arguments(self) -> list[str]:
        """Of its command line."""
        given = self.out.parent.parent / "given"
        studies = ["--studies", str(given / "studies")]
        return {
            "export": ["export", "study", *studies, "--out", str(self.out)],
            "report": ["report", "study", *studies, "--out", str(self.out / "page.html")],
            "init": ["init", str(self.out)],
            "train": ["train", str(given / "config.toml"), *studies, "--out", str(self.out), "--threads", "1"],
        }[self.command]

    def start(self, before: Callable[[], None] | None = None) -> Any:
        """The process, `before` called in it."""
        is_ready = CONTEXT.Event()
        arguments = (self.arguments(), self.output, 0.0, before, is_ready, 0.0)
        process = CONTEXT.Process(target=_run_command, args=arguments)
        process.start()
        is_ready.wait(ENDS_IN_S)
        return process

    def run(self, before: Callable[[], None] | None = None) -> int | None:
        """To its end."""
        return _end(self.start(before))

    @property
    def output(self) -> Path:
        """What its processes say."""
        return self.out.parent / "output.txt"

    def names(self) -> list[str]:
        """Of the files it has written."""
        return sorted(str(path.relative_to(self.out)) for path in self.out.rglob("*") if path.is_file())

    def violations(self) -> list[str]:
        """Files that are not whole, an error that is not one line."""
        unbroken = self.out.parent.parent / f"unbroken-{self.command}" / "out"
        paths = [path for path in self.out.rglob("[!.]*") if path.is_file() and path.name != "filler"]
        problems = {path.name: _wrong(path, unbroken / path.relative_to(self.out)) for path in paths}
        found = [f"{name} is not whole: {problem}" for name, problem in problems.items() if problem]
        return found + (["a traceback"] if "Traceback" in self.output.read_text() else [])


def _end(process: Any) -> int | None:
    process.join(ENDS_IN_S)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join()
    return code  # type: ignore[no-any-return]


def _wrong(path: Path, unbroken: Path) -> str:
    if path.suffix == ".toml":
        return "" if path.read_bytes() == unbroken.read_bytes() else f"{path.stat().st_size} bytes"
    try:
        WHOLE.get(path.suffix, str)(path)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def write_files(commands: tuple[str, ...], count: int, seed: int, folder: Path) -> list[str]:
    """Each way and command in turn."""
    chooser, given = random.Random(seed), folder / "given"
    given.mkdir()
    (given / "config.toml").write_text(CONFIG)
    violations = run_to_end(Sweep(3), given / "studies")
    cases = [(way, command) for way in WAYS for command in commands]
    unbroken = {command: _unbroken(command, folder) for command in commands}
    for number in range(count):
        way, command = cases[(number + seed) % len(cases)]
        place = folder / f"{number}-{command}"
        place.mkdir()
        case = Case(command, place / "out")
        found = WAYS[way](case, chooser)
        if case.run() != 0 or case.names() != unbroken[command]:
            found.append(f"undisturbed it gives {case.names()}: {case.output.read_text()[-500:]}")
        violations += [f"{way}, {command}: {problem}" for problem in [*found, *case.violations()]]
    return violations


def _unbroken(command: str, folder: Path) -> list[str]:
    (folder / f"unbroken-{command}").mkdir()
    case = Case(command, folder / f"unbroken-{command}" / "out")
    assert case.run() == 0, case.output.read_text()
    return case.names()


# ---- ways: what happens to the command, and what that violated ----


def full_disk(case: Case, chooser: random.Random) -> list[str]:
    """Full up to a random rest; without the right to mount, it is another folder that denies writes."""
    with _small_disk(case.out) as is_mounted:
        if not is_mounted:
            return []
        _fill(case.out / "filler", chooser.choice((0, 4096, chooser.randrange(2**17))))
        code = case.run()
        found = [] if code in (0, 2) else [f"ended with {code}"]
        found += _not_said(case, code, "the disk is full") + case.violations()
        (case.out / "filler").unlink()
        return found + ([] if case.run() == 0 else ["it ended with an error when there was room again"])


def kill(case: Case, chooser: random.Random) -> list[str]:
    """kill -9 at a random one of its calls that open, rename, remove or make something in the folder."""
    code = case.run(partial(_die_at, chooser.randrange(MOST_EVENTS[case.command]), str(case.out)))
    found = [] if code in (0, -signal.SIGKILL) else [f"ended with {code}"]
    found += case.violations()
    for leftover in case.out.rglob(".unfinished.*"):
        leftover.unlink()
    return found


def _die_at(number: int, folder: str) -> None:
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in WRITES and str(arguments[0]).startswith(folder):
            seen += 1
            if seen > number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def two_at_once(case: Case, _: random.Random) -> list[str]:
    """Of two retrains one is refused, with the other's process."""
    processes = [case.start(), case.start()]
    codes = [_end(process) for process in processes]
    if case.command != "train":
        return [] if codes == [0, 0] else [f"ended with {codes}: {case.output.read_text()[-500:]}"]
    pids = [str(process.pid) for process, code in zip(processes, codes, strict=True) if code == 0]
    is_said = any(pid in case.output.read_text() for pid in pids)
    return [] if codes in ([0, 0], [0, 2], [2, 0]) and (len(pids) == 2 or is_said) else [f"ended with {codes}"]


def unwritable(case: Case, chooser: random.Random) -> list[str]:
    """A folder of mode 555, or a file where a folder is needed."""
    case.out.mkdir(mode=0o555)
    if chooser.random() < 0.5:
        case.out.rmdir()
        case.out.write_text("mine")
    code = case.run(obey_permissions)
    found = _not_said(case, code, str(case.out)) + (["it ended with 0"] if code == 0 else [])
    if case.out.is_file():
        found += [] if case.out.read_text() == "mine" else ["a file was written over"]
        case.out.unlink()
    else:
        case.out.chmod(0o755)
    return found


def _not_said(case: Case, code: int | None, words: str) -> list[str]:
    last = case.output.read_text().splitlines()[-1:]
    is_said = code != 2 or (bool(last) and last[0].startswith("sweep: ") and words in last[0])
    return [] if is_said else [f"not said: {last}"]


WAYS = {"full disk": full_disk, "kill": kill, "two at once": two_at_once, "unwritable": unwritable}
HOLDS = "each file whole or absent, one line says what is wrong; undisturbed the same command gives all of them"

FAULTS = [
    Fault("files of export, report and init", HOLDS, 60, 4, partial(write_files, ("export", "init", "report"))),
    Fault("files of retrain", HOLDS, 24, 0, partial(write_files, ("train",))),
]
