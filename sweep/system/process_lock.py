"""Lock a file for one process at a time: the lock is released when its owner exits."""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from sweep.errors import SweepError
from sweep.system.forking import in_children

OWNER_TRIES = 20  # of 50 ms: an owner writes its PID right after it has the lock


class ProcessLock:
    """`flock` on a file; the kernel drops it with the process, however that ends.

    It belongs to the open file, which processes that a user's code forks off would share: they close it.

    The file holds the owner's PID, for the message to a second process, and nothing once it ended in order, which is
    stored here as a database on a full disk cannot store it any more (`ended_in_order`). Linux and macOS.
    """

    def __init__(self, path: Path, refusal: Callable[[str], SweepError]) -> None:
        """Create a lock. Entering it creates the file, and raises `refusal(pid)` while process `pid` holds it."""
        self._path, self._refusal = path, refusal
        self._descriptor: int | None = None
        self.ended_in_order = False  # the owner before

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            in_children(self, ProcessLock._release)
            self._take(self._descriptor)
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)
        self._release()

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._refusal(_owner(descriptor)) from None
        self.ended_in_order = os.fstat(descriptor).st_size == 0
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def _release(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):  # it is closed even then
                os.close(self._descriptor)  # which drops the lock; the file stays, as removing it would race
            self._descriptor = None


def _owner(descriptor: int) -> str:
    """The PID in the file, once it is that of a process that lives: a killed owner's stays until the next writes its.

    An owner in another container is taken at its word after a second.
    """
    for _ in range(OWNER_TRIES):
        owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        if owner.isdecimal() and _is_alive(int(owner)):
            break
        time.sleep(0.05)
    return owner or "unknown"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
