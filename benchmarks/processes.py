"""One process from its start to its exit: what it took, and what it said if it failed."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAID_AT_MOST = 3000  # characters of a failed process's last words
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss


@dataclass(frozen=True)
class Usage:
    """Of one process; its memory is the most that was resident at once."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run_measured(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Usage:
    """Run it to its end, its output swallowed; SystemExit with its last words if it fails."""
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace")[-SAID_AT_MOST:]
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    return Usage(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * MAXRSS_BYTES / 1e6)


def resident_mb(pid: int) -> float:
    """Resident memory of a process; NaN where the system does not say (only Linux does here)."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return float("nan")
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def run_for_json(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Any:
    """What the last line of its output says; SystemExit with its last words if it fails."""
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if process.returncode:
        said = process.stderr[-SAID_AT_MOST:]
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    return json.loads(process.stdout.splitlines()[-1])
