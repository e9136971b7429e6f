"""Bytes flipped in a database of two studies, and the file cut off: a command refuses in one line, or shows the truth.

After each damage some of the commands that read are run, drawn anew, and the sweep goes on by two trials. What one
shows must be what it shows of the undamaged database; times are left out, as no score hangs on them.
"""

import contextlib
import gc
import io
import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from faults.fault import Fault
from optuna.storages._rdb.storage import _VersionManager
from sweeps import FailingEngine, make_settings, make_space, read_trials

from sweep.cli.parser import main
from sweep.engines.fake import FakeEngine
from sweep.errors import SweepError
from sweep.executors.in_process import InProcessExecutor
from sweep.results.report.data import read_data
from sweep.storage import connect_reader, database_url, read_study
from sweep.tuning.limits import Limits
from sweep.tuning.progress import QuietProgress
from sweep.tuning.study import SweepStudy, open_study, stored_settings
from sweep.tuning.tuner import Tuner

NUM_TRIALS = {"first": 14, "second": 6}
NUM_COMMANDS = 3
TIMES = ("datetime_start", "datetime_complete", "last_activity", "seconds", "elapsed_s")
COMMANDS = (
    ["list"],
    ["list", "--json"],
    ["show", "first"],
    ["show", "first", "--json"],
    ["show", "first", "--csv"],
    ["show", "first", "3"],
    ["show", "first", "3", "--json"],
    ["show", "second", "--json"],
    ["export", "first", "--top", "2"],
)


def flip_bytes(count: int, seed: int, folder: Path) -> list[str]:
    """One byte of the database file, or, each fifth time, of the log of a sweep that was killed."""
    chooser = random.Random(seed)
    ended, killed = _make_originals(folder)

    def flip(number: int, copy: Path) -> str:
        if number % 5 == 4:
            return _flip_one(copy / "sweep.db-wal", chooser)
        return _flip_one(copy / "sweep.db", chooser)

    return _damage_copies(count, folder, lambda number: killed if number % 5 == 4 else ended, flip, chooser)


def truncate(count: int, seed: int, folder: Path) -> list[str]:
    """The file of an ended sweep, at a random length or, each fifth time, between two pages."""
    chooser = random.Random(seed)
    ended, _ = _make_originals(folder)

    def cut(number: int, copy: Path) -> str:
        path = copy / "sweep.db"
        length = chooser.randrange(path.stat().st_size)
        length -= length % 4096 if number % 5 == 4 else 0
        with path.open("r+b") as file:
            file.truncate(length)
        return f"cut at {length}"

    return _damage_copies(count, folder, lambda _: ended, cut, chooser)


def _damage_copies(
    count: int,
    folder: Path,
    original: Callable[[int], Path],
    damage: Callable[[int, Path], str],
    chooser: random.Random,
) -> list[str]:
    expected = _look(_copy(original(0), folder / "undamaged"), COMMANDS)
    assert None not in expected.values()
    violations = []
    newest = connect_reader(database_url(original(0)))._version_manager.get_head_version()
    with mock.patch.object(_VersionManager, "get_head_version", return_value=newest):  # half of the time is spent on it
        for number in range(count):
            copy = _copy(original(number), folder / "copy")
            done = damage(number, copy)
            for name, shown in _look(copy, chooser.sample(COMMANDS, NUM_COMMANDS)).items():
                if shown not in (None, expected[name]):
                    violations.append(f"{done}: {name}: {_difference(shown, expected[name])}")
            gc.collect()  # SQLAlchemy's pools would keep the files of the copies open
    return violations


def _look(folder: Path, commands: Sequence[list[str]]) -> dict[str, Any]:
    """What each command shows, None where it refused in one line, the error where it failed otherwise."""
    shown = {" ".join(command): _shown(_command, command, folder) for command in commands}
    return {**shown, "report": _shown(_report, folder), "run": _shown(_go_on, folder)}


def _shown(look: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return look(*arguments)
    except SweepError as error:
        return None if "\n" not in str(error) else f"more than one line: {error}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def _command(command: list[str], folder: Path) -> Any:
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        code = main([*command, "--studies", str(folder)])
    if code:
        is_one_line = errors.getvalue().startswith("sweep: ") and errors.getvalue().count("\n") == 1
        return None if is_one_line else f"exit code {code}: {errors.getvalue()}"
    if "--json" in command:
        return _without_times(json.loads(output.getvalue()))
    if command[0] == "export":
        return [path.read_text() for path in sorted((folder / "first" / "configs").iterdir())]
    cells = [line.split(",") for line in output.getvalue().splitlines()] if "--csv" in command else None
    if cells:
        return [[cell for name, cell in zip(cells[0], row, strict=True) if name not in TIMES] for row in cells]
    lines = output.getvalue().splitlines()
    return [line[:60] if command == ["list"] else line for line in lines if not line.startswith("seed ")]


def _report(folder: Path) -> Any:
    data = read_data(read_study(database_url(folder), "first"))
    attrs = [(trial.user_attrs, trial.params, trial.intermediate_values) for trial in data.trials]
    return data.metric, data.maximize, data.settings, [(t.number, t.state, t.values) for t in data.trials], attrs


def _go_on(folder: Path) -> Any:
    study = _sweep(folder, "first", NUM_TRIALS["first"] + 2)
    study.write_behind.close()
    return [_without_times(trial) for trial in read_trials(folder, "first")]


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if key not in TIMES}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def _difference(shown: Any, expected: Any) -> str:
    if isinstance(shown, list) and isinstance(expected, list) and len(shown) == len(expected):
        pairs = [(ours, theirs) for ours, theirs in zip(shown, expected, strict=True) if ours != theirs]
        return f"{pairs[0][0]} instead of {pairs[0][1]}"
    return f"{str(shown)[:600]}"


# ---- the databases ----


def _make_originals(folder: Path) -> tuple[Path, Path]:
    """One as an orderly end leaves it, and one with the log that a kill leaves."""
    working, ended, killed = folder / "working", folder / "ended", folder / "killed"
    second = _sweep(working, "second", NUM_TRIALS["second"])
    first = _sweep(working, "first", NUM_TRIALS["first"], FailingEngine())
    _copy(working, killed)  # before the log is put into the file
    second.write_behind.close()
    first.write_behind.close()
    del first, second
    gc.collect()
    return _copy(working, ended), killed


def _sweep(folder: Path, name: str, num_trials: int, engine: FakeEngine | None = None) -> SweepStudy:
    space, url = make_space("tpe", "median", epochs=4), database_url(folder)
    study = open_study(url, name, space, make_settings(space), stored_settings(url, name))
    executor = InProcessExecutor(engine or FakeEngine())
    Tuner(study, space, executor, Limits(num_trials), QuietProgress(), seed=0).run()
    return study


def _copy(original: Path, place: Path) -> Path:
    """The database and its log."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name in ("sweep.db", "sweep.db-wal"):
        if (original / name).exists():
            shutil.copyfile(original / name, place / name)
    return place


def _flip_one(path: Path, chooser: random.Random) -> str:
    position, change = chooser.randrange(path.stat().st_size), chooser.randrange(1, 256)
    with path.open("r+b") as file:
        file.seek(position)
        before = file.read(1)[0]
        file.seek(position)
        file.write(bytes([before ^ change]))
    return f"byte {position} of {path.name} from {before} to {before ^ change}"


FAULTS = [
    Fault(
        "bytes flipped in the database",
        "every command refuses in one line, or shows the scores, states, params and epochs as they were",
        1000,
        10,
        flip_bytes,
    ),
    Fault(
        "database truncated",
        "every command refuses in one line, or shows the scores, states, params and epochs as they were",
        100,
        5,
        truncate,
    ),
]
