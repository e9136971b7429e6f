"""strace attached to a process of ours: it writes down system calls on the database's files, or makes them fail."""

import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

NAMES = (
    *("", "sweep.db", "sweep.db-wal", "sweep.db-shm", "sweep.db-journal", ".sweep.db.new", ".sweep.db.new-journal"),
    *(".sweep.db.creating", ".sweep.db.study.lock", "backups", "backups/.sweep.db.partial", "backups/.sweep.db.lock"),
    *("backups/sweep.db.000001", "backups/sweep.db.000002"),
)
CANNOT_ATTACH = 99  # exit code
PR_SET_PTRACER, ANY = 0x59616D61, -1
ATTACH_TRIES = 1000  # of 10 ms


@cache
def missing() -> str | None:
    """Why system calls cannot be traced here; None if they can."""
    if shutil.which("strace") is None:
        return "needs strace: apt-get install strace"
    traced = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True)
    return None if traced.returncode == 0 else f"strace may not trace here: {traced.stderr.strip()[-100:]}"


def tracing(folder: Path, log: Path, calls: Sequence[str], *injections: str, content: bool = False) -> Any:
    """What attaches strace to the process that calls it: the `before` of a SweepProcess.

    Of the calls, those on the database's files in `folder` are written into `log`, with all bytes if `content`, and
    `injections` (`fsync:error=EIO:when=3`) are made.
    """
    command = ["strace", "-f", "-y", "-o", str(log), "-e", f"trace={','.join(calls)}"]
    command += [part for name in NAMES for part in ("-P", str(folder / name) if name else str(folder))]
    command += [part for injection in injections for part in ("-e", f"inject={injection}")]
    return partial(_attach, command + (["-xx", "-s", "1000000"] if content else []))


def _attach(command: list[str]) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANY)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.Popen([*command, "-p", str(os.getpid())], **quiet, start_new_session=True)  # type: ignore[call-overload]
    for _ in range(ATTACH_TRIES):
        time.sleep(0.01)
        if "TracerPid:\t0\n" not in Path("/proc/self/status").read_text():
            return
    os._exit(CANNOT_ATTACH)
