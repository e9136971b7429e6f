"""Handle database files: a lock for one process at a time, what is on the disk, how to open one read-only."""

import ctypes
import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from sweep.system.files import sync_folder

NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)  # exFAT, some FUSE mounts
AT_FDCWD, RENAME_NOREPLACE = -100, 1  # Linux
BLOCK_BYTES = 2**20


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Wait for the lock on a file, made if it is missing; the kernel drops it with the process. The file stays."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def grants_locks(path: Path) -> bool:
    """Whether the file system of the database has locks: SQLite says of their lack that another program has one.

    Tried on the file that is `held` while the database is made. Closing the database itself would drop SQLite's locks.
    """
    try:
        with open(creation_lock(path), "a") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno != errno.ENOLCK
    return True


def creation_lock(path: Path) -> Path:
    """Return the file that is locked while the database is created: two processes creating the schema would collide."""
    return path.with_name(f".{path.name}.creating")


def give_name(source: Path, target: Path) -> None:
    """Rename a file durably, or remove it where there is a target, which is never replaced."""
    try:
        os.link(source, target)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        with suppress(FileExistsError):
            _rename_without_replacing(source, target)
    source.unlink(missing_ok=True)
    sync_folder(target.parent)


def _rename_without_replacing(source: Path, target: Path) -> None:
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:  # not Linux
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None
    names = os.fsencode(source), os.fsencode(target)
    if rename(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def read_plainly(path: Path) -> None:
    """Read every byte of a database and its log, as SQLite does, but without its judgement; OSError if that fails."""
    for file in (path, path.with_name(f"{path.name}-wal")):
        with suppress(FileNotFoundError):
            descriptor, position = _descriptor(file, file.stat().st_ino), 0
            while content := os.pread(descriptor, BLOCK_BYTES, position):
                position += len(content)


@cache
def _descriptor(file: Path, _: int) -> int:
    """Of a file and inode, never closed: the process would lose the locks that SQLite has on the file."""
    return os.open(file, os.O_RDONLY)


def connect_to_read(path: Path, timeout_s: float, **options: Any) -> sqlite3.Connection:
    """Open a read-only connection to an existing file.

    What a process left half written when it was killed is rolled back first, if the file is writable.
    """
    if _journal(path).exists():
        uri = f"file:{path}?mode=rw"
        with suppress(sqlite3.Error), closing(sqlite3.connect(uri, timeout_s, uri=True)) as writer:
            writer.execute("SELECT 1 FROM sqlite_master").fetchone()
    connection: sqlite3.Connection = sqlite3.connect(_uri_to_read(path), timeout_s, uri=True, **options)
    return reading_any_text(connection)


def reading_any_text(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Read text that is not UTF-8 too: Python's sqlite3 module would fail the whole query for one such value."""
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    return connection


def _uri_to_read(path: Path) -> str:
    """SQLite creates a log even to read, unless it is opened as immutable, which a file on a read-only medium is."""
    has_log = path.with_name(f"{path.name}-wal").exists() or _journal(path).exists()
    is_medium_read_only = not has_log and not os.access(path.parent, os.W_OK)
    return f"file:{path}?mode=ro" + ("&immutable=1" if is_medium_read_only else "")


def _journal(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")
