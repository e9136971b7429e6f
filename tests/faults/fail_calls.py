"""A system call on the database's files fails, once or from then on; then the same command again."""

import random
import signal
from pathlib import Path

from faults.fault import Fault
from faults.strace import missing, tracing
from faults.sweep_process import Sweep, SweepProcess, differences, run_halfway, run_to_end

SWEEP = Sweep(4)
CALLS = {  # name: errors, and how many such calls a sweep makes
    "fdatasync": (("EIO", "ENOSPC", "EDQUOT"), 130),
    "fsync": (("EIO",), 4),
    "pwrite64": (("EIO", "ENOSPC", "EINTR", "EDQUOT", "EROFS"), 620),
    "ftruncate": (("EIO", "ENOSPC"), 8),
    "unlink": (("EACCES", "EIO", "EBUSY", "EROFS"), 27),
    "pread64": (("EIO", "ESTALE"), 310),
    "openat": (("EMFILE", "EACCES", "EIO", "ENFILE", "ENOMEM", "EROFS", "ESTALE"), 80),
    "fcntl": (("ENOLCK", "EIO", "EINTR", "EAGAIN"), 720),
    "flock": (("ENOLCK", "EINTR", "EAGAIN"), 3),
    "rename": (("EIO", "EACCES"), 1),
    "link": (("EIO", "EPERM", "EOPNOTSUPP"), 1),
    "mkdir": (("EIO", "EACCES", "EROFS"), 3),
    "newfstatat": (("EIO", "ENOENT", "EACCES", "ESTALE"), 650),
    "mmap": (("ENOMEM",), 6),
    "close": (("EIO",), 60),
}
FOUND_BEFORE = (  # what once did harm is tried first
    *("close:error=EIO:when=1+", "newfstatat:error=EIO:when=1+", "link:error=EPERM:when=1"),
    *("newfstatat:error=ESTALE:when=2+", "flock:error=ENOLCK:when=1+", "fcntl:error=ENOLCK:when=9+"),
)
ENDS_IN_S = 60.0
PASSING = ("EAGAIN", "EINTR")  # from then on they never pass: a lock that another program holds, signals without end


def fail_calls(count: int, seed: int, folder: Path) -> list[str]:
    """One fault a study, new ones and ones that were killed half way; the study is resumed without any."""
    chooser, violations = random.Random(seed), []
    for number in range(count):
        injection = FOUND_BEFORE[number] if number < len(FOUND_BEFORE) else _draw(chooser)
        place = folder / str(number)
        begun = [] if chooser.random() < 0.5 else run_halfway(SWEEP, place, signal.SIGKILL)
        violations += [f"{injection}: {problem}" for problem in begun + _live(place, injection)]
    return violations


def _draw(chooser: random.Random) -> str:
    call = chooser.choice(sorted(CALLS))
    errors, most = CALLS[call]
    error, when = chooser.choice(errors), int(most ** chooser.random())
    is_lasting = error not in PASSING and chooser.random() < 0.3
    return f"{call}:error={error}:when={when}{'+' if is_lasting else ''}"


def _live(place: Path, injection: str) -> list[str]:
    call, log = injection.split(":")[0], place.with_suffix(".strace")
    process = SweepProcess(SWEEP, place, before=tracing(place, log, [call], injection))
    code, output = process.end(ENDS_IN_S), process.output
    found = [f"ended with {code}: {output[-700:]}"] if code not in (0, 2) or "Traceback" in output else []
    if code == 2 and not output.splitlines()[-1].startswith("sweep: "):
        found.append(f"not one line: {output[-700:]}")
    if code != 0:
        found += [f"then: {problem}" for problem in run_to_end(SWEEP, place)]
    return found + differences(SWEEP, place)


FAULTS = [
    Fault(
        "a system call on the database's files fails",
        "done, or one line and exit code 2; the same command resumes, equal to the unbroken study",
        200,
        3,
        fail_calls,
        missing,
    )
]
