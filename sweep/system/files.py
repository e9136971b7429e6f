"""The files that we write: each is whole or absent, and on the disk once it has its name."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sweep.errors import DISK_IS_FULL, InputError, is_disk_full

FOLDER_IS_NOT_SYNCED = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM)  # by some file systems, by its mode

UNFINISHED = ".unfinished"  # opens the name of what is being written


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file under another name next to `path`, and rename it at the end of the body.

    Whatever happens, `path` is the old file or the new one. Folders that are missing are made.

    Args:
        path: The file to make or to replace. Where it is a link, the file that it leads to.

    Yields:
        The path to write to, which ends as `path` does.

    Raises:
        InputError: `path` cannot be written, or it is a folder, a device or the like.

    """
    target = Path(os.path.realpath(path))
    unfinished = target.parent / f"{UNFINISHED}.{os.getpid()}.{target.name}"
    with in_one_line(path):
        if target.exists() and not target.is_file():
            raise InputError(f"{path}: is not a file; choose another name")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield unfinished
            sync(unfinished)
            os.replace(unfinished, target)
        finally:
            with suppress(OSError):
                unfinished.unlink()
        sync_folder(target.parent)


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes were writing in a folder that no other process writes into now."""
    for path in folder.glob(f"{UNFINISHED}.*"):
        path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Make or replace a file, as `replacing` does."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Make or replace a file in UTF-8, as `replacing` does."""
    write_bytes(path, text.encode())


@contextmanager
def in_one_line(path: Path) -> Iterator[None]:
    """Raise an OSError of the body as InputError: what cannot be written, why, and what to do."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise InputError(f"{path}: {DISK_IS_FULL}") from None
        reason = error.strerror or error
        raise InputError(
            f"{path}: cannot be written ({reason}); make its folder writable or choose another one"
        ) from None


def sync(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where its file system can do that."""
    try:
        sync(folder)
    except OSError as error:
        if error.errno not in FOLDER_IS_NOT_SYNCED:
            raise
