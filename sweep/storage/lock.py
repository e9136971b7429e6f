"""One launcher for each study: a lock that dies with its owner."""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from sweep.errors import StudyError
from sweep.forking import in_children
from sweep.storage.database_errors import study_error
from sweep.study_names import name_as_file

OWNER_TRIES = 20  # of 50 ms: an owner writes its PID right after it has the lock


class FileLock:
    """`flock` on a hidden file beside the database; the kernel drops it with the process, however that ends.

    It belongs to the open file, which processes that a user's code forks off would share: they close it.

    The file holds the owner's PID, for the message to a second launcher, and nothing once it ended in order, which is
    said here as a database on a full disk cannot take it any more (`ended_in_order`). Linux and macOS.
    """

    def __init__(self, database: Path, study_name: str) -> None:
        self._study_name = study_name
        self._path: Path = database.with_name(f".{database.name}.{name_as_file(study_name)}.lock")
        self._descriptor: int | None = None
        self.ended_in_order = False  # the owner before

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            in_children(self, FileLock._let_go)
            self._take(self._descriptor)
        except OSError as error:
            self._let_go()
            raise study_error(self._path.parent, error) from None
        except BaseException:
            self._let_go()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)
        self._let_go()

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyError(
                f"study {self._study_name} is being swept by process {_owner(descriptor)}; "
                "wait for it, stop it, or use another --study"
            ) from None
        self.ended_in_order = os.fstat(descriptor).st_size == 0
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)  # closing drops the lock; the file stays, as removing it would race
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
