"""Database files beside SQLite's own care: a lock for one process at a time, what is on the disk, how to read."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Wait for the lock on a file, made if it is missing; the kernel drops it with the process. The file stays."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def uri_to_read(path: Path) -> str:
    """SQLite makes a log to read too, unless told that nobody writes: on a read-only medium nobody does."""
    is_medium_read_only = not path.with_name(f"{path.name}-wal").exists() and not os.access(path.parent, os.W_OK)
    return f"file:{path}?mode=ro" + ("&immutable=1" if is_medium_read_only else "")
