"""Handle database files: lock, rename durably, read completely, and open read-only."""

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
    """Wait for the lock on a file and hold it. The file is created if needed and kept; the kernel releases the lock."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def supports_locks(path: Path) -> bool:
    """Return whether the file system of a database supports locks; if not, SQLite reports that it is locked.

    A lock is tried on the file of `creation_lock`, as closing the database itself would release SQLite's locks.
    """
    try:
        with open(creation_lock(path), "a") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno != errno.ENOLCK
    return True


def creation_lock(path: Path) -> Path:
    """Return the file that a process locks while it creates the database, so that only one creates the schema."""
    return path.with_name(f".{path.name}.creating")


def rename_durably(source: Path, target: Path) -> None:
    """Rename a file durably. If the target exists, it is kept, and the source is removed."""
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


def read_all_bytes(path: Path) -> None:
    """Read every byte of a database and its write-ahead log. Raise OSError if the disk fails."""
    for file in (path, path.with_name(f"{path.name}-wal")):
        with suppress(FileNotFoundError):
            descriptor, position = _descriptor(file, file.stat().st_ino), 0
            while content := os.pread(descriptor, BLOCK_BYTES, position):
                position += len(content)


@cache
def _descriptor(file: Path, _: int) -> int:
    """Open a file, once for each inode. It is never closed, as that would release SQLite's locks on the file."""
    return os.open(file, os.O_RDONLY)


def connect_to_read(path: Path, timeout_s: float, **options: Any) -> sqlite3.Connection:
    """Open a read-only connection to an existing file.

    The unfinished transaction of a process that was killed is rolled back first, if the file is writable.

    Args:
        path: The database.
        timeout_s: How long SQLite waits for a lock, in seconds.
        options: Further arguments of `sqlite3.connect`.

    Returns:
        The connection.
    """
    if _journal(path).exists():
        uri = f"file:{path}?mode=rw"
        with suppress(sqlite3.Error), closing(sqlite3.connect(uri, timeout_s, uri=True)) as writer:
            writer.execute("SELECT 1 FROM sqlite_master").fetchone()
    connection: sqlite3.Connection = sqlite3.connect(_uri_to_read(path), timeout_s, uri=True, **options)
    return decode_any_text(connection)


def decode_any_text(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Make a connection replace bytes that are not UTF-8; otherwise one such value makes a query fail. Return it."""
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    return connection


def _uri_to_read(path: Path) -> str:
    """Return the URI to open a file read-only.

    SQLite creates a write-ahead log even to read, which fails on a read-only medium unless the file is immutable.
    """
    has_log = path.with_name(f"{path.name}-wal").exists() or _journal(path).exists()
    is_medium_read_only = not has_log and not os.access(path.parent, os.W_OK)
    return f"file:{path}?mode=ro" + ("&immutable=1" if is_medium_read_only else "")


def _journal(path: Path) -> Path:
    return path.with_name(f"{path.name}-journal")
