"""What every benchmark here shares: where it works, what machine it ran on, and the table it appends."""

import os
import platform
import subprocess
import tempfile
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
SOURCE, OURS = "# The source's figure: ", "# Ours: "  # lines in the head of a space or a recipe
WIDTH = 116
PACKAGES = ("sweep", "optuna", "keras", "tensorflow", "numpy", "sqlalchemy")


def scratch_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder beside users' own studies, so that databases are on the disk that they would be on."""
    return tempfile.TemporaryDirectory(dir=ROOT / "studies", prefix="benchmark-")


def describe_machine(device: str = "no GPU used", more_packages: Sequence[str] = ()) -> str:
    """Date, CPU, cores, memory, device, load, versions and commit, as one paragraph of Markdown."""
    packages = ", ".join(f"{package} {version(package)}" for package in (*PACKAGES, *more_packages))
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {cpu_model()}, {len(os.sched_getaffinity(0))} cores, "
        f"{memory_gb:.0f} GB, {device}; load {load} (1, 5, 15 minutes) at the start; "
        f"{platform.system()}, Python {platform.python_version()}, {packages}; commit {_commit()}."
    )


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; floats are given three digits, or to the unit from 1000."""
    lines = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def append(path: Path, title: str, *paragraphs: str) -> None:
    """Append a section to the results file, and print it."""
    section = "\n\n".join([f"## {title}", *paragraphs]) + "\n"
    before = path.read_text(encoding="utf-8") if path.exists() else "# Results, each written by its command\n"
    path.write_text(f"{before}\n{section}", encoding="utf-8")
    print(section)


def read_line(file: Path, start: str) -> str:
    """What a line of the head of a space or a recipe says, those that go on with it included; empty without it."""
    lines = file.read_text().splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith(start)), len(lines))
    more = takewhile(lambda line: line.startswith("#   "), lines[first + 1 :])
    return " ".join([*(line.removeprefix(start) for line in lines[first : first + 1]), *(line[4:] for line in more)])


def write_ours(file: Path, sentence: str) -> None:
    """Replace a space's or recipe's own lines by this, with hardware and date."""
    text = f"{OURS}{sentence}; {cpu_model()}, {os.cpu_count()} cores, {datetime.now(UTC):%Y-%m-%d}."
    wrapped = textwrap.wrap(text, WIDTH, subsequent_indent="#   ", break_on_hyphens=False)
    lines = file.read_text().splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith(OURS))
    stop = next(number for number, line in enumerate(lines) if number > start and not line.startswith("#   "))
    lines[start:stop] = [f"{line}\n" for line in wrapped]
    file.write_text("".join(lines))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:#.3g}".rstrip(".") if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


def cpu_model() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str:
    """The checkout's commit, marked if the package differs from it; `unknown` outside a checkout."""
    commit = _git("rev-parse", "--short", "HEAD").stdout.strip()
    differs = _git("diff", "--quiet", "HEAD", "--", "sweep").returncode
    return f"{commit or 'unknown'}{' with changes in sweep/' if commit and differs else ''}"


def _git(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
