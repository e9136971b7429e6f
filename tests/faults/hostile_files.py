"""Space files, config files and study names that try something: each is refused in one line, or does nothing.

They are given to real commands in a process of its own, whose time and memory are limited:

    python tests/faults/hostile_files.py FOLDER '["case", "case", ...]'     # a violation a line
"""

import contextlib
import csv
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faults.fault import Fault
from faults.hostile_inputs import FAKE, FILES, NAMES

SECONDS_A_COMMAND = 30
MEMORY_BYTES = 6 * 2**30
MARKUP = ("<script>alert", "<img src=x")


def give_to_commands(count: int, seed: int, folder: Path) -> list[str]:
    """Each case once before any is repeated, in the seed's order."""
    known = [*FILES, *NAMES]
    order = random.Random(seed).sample(known, len(known))
    chosen = [order[index % len(order)] for index in range(count)]
    command = [sys.executable, __file__, str(folder), json.dumps(chosen)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        return [f"the process ended with {result.returncode}: {result.stderr.strip()[-2000:]}"]
    return result.stdout.splitlines()


def find_violations(number: int, case: str, folder: Path) -> Iterator[str]:
    """Of one case, in a folder of its own; nothing but its folder `studies` may change."""
    place = folder / str(number)
    place.mkdir()
    (place / "files").mkdir()
    for arguments in FILES[case](place / "files" / "space.toml") if case in FILES else _with_name(place, NAMES[case]):
        before = _outside(folder, place)
        is_done, problem = _run(place, arguments)
        problem = problem or ", ".join(sorted(f"changed {path}" for path, _ in _outside(folder, place) ^ before))
        if problem:
            yield f"{case}: {' '.join(arguments)[:200]!r}: {problem}"
        if not is_done and case in FILES:
            return  # what would be shown is not there


def _with_name(place: Path, name: str) -> list[list[str]]:
    """Every command that takes a study's name."""
    space = place / "files" / "space.toml"
    space.write_text('study = { name = "fine" }\ntraining = { epochs = 2 }\n')
    run = ["run", str(space), f"--study={name}", *FAKE]
    return [run, *([command, "--", name] for command in ("show", "report", "export"))]


def _outside(folder: Path, place: Path) -> set[tuple[str, int]]:
    """Every file with its size, but for what commands write into `studies`, and libraries into their caches."""
    written = {place / "studies", folder / "home"}
    paths = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    return {(str(path), path.lstat().st_size) for path in paths if written.isdisjoint(path.parents)}


def _run(place: Path, arguments: list[str]) -> tuple[bool, str | None]:
    """Whether the command did its work, and what is wrong with how it ended: nothing is with one line of refusal."""
    from sweep.cli.parser import main

    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    os.chdir(place)
    signal.alarm(SECONDS_A_COMMAND)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
    except SystemExit as end:  # argparse
        return False, None if end.code == 2 else f"exit code {end.code}"
    except BaseException as error:
        return False, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    finally:
        signal.alarm(0)
    out.flush()
    return code == 0, _judge(code, out.buffer.getvalue().decode(), err.getvalue()) or _judge_report(place)


def _judge(code: int, out: str, err: str) -> str | None:
    if code not in (0, 2, 3):
        return f"exit code {code}"
    if code and (not err.startswith("sweep: ") or err.count("\n") != 1):
        return f"{err.count(chr(10))} lines of error: {err[:300]!r}"
    if "Traceback" in out + err:
        return f"a traceback: {(out + err)[-300:]!r}"
    if "\x1b" in out + err:
        return "what a terminal obeys is printed"
    if out.startswith("number,state") and any(
        cell[:1] in "=+@" for row in csv.reader(io.StringIO(out)) for cell in row if cell
    ):
        return "a formula in a CSV cell"
    return None


def _judge_report(place: Path) -> str | None:
    for page in place.glob("studies/*/report.html"):
        text = page.read_text()
        found = [markup for markup in MARKUP if markup in text]
        if found:
            return f"{found[0]!r} stands in the report"
    return None


class _TooLong(BaseException):
    """A command took too long."""


def _stop(*_: object) -> None:
    raise _TooLong


def main() -> None:
    """Judge the cases that are named on the command line."""
    folder, cases = Path(sys.argv[1]), json.loads(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, _stop)
    os.environ["HOME"] = str(folder / "home")
    for number, case in enumerate(cases):
        for violation in find_violations(number, case, folder):
            print(violation, flush=True)


FAULTS = [
    Fault(
        "hostile space files and study names",
        "refused in one line or inert: no file outside the studies, no traceback, no markup, seconds at most",
        len(FILES) + len(NAMES),
        25,
        give_to_commands,
    )
]

if __name__ == "__main__":
    main()
