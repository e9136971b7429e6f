"""One launcher for each study: a lock that dies with its owner."""

import fcntl
import os
from pathlib import Path
from typing import Self

from sweep.errors import StudyError
from sweep.storage.database import database_path


class StudyLock:
    """`flock` on a hidden file beside the database; the kernel drops it with the process, however that ends.

    The file holds the owner's PID, for the message to a second launcher. Linux and macOS.
    """

    def __init__(self, url: str, study_name: str) -> None:
        database = database_path(url)
        self._study_name = study_name
        self._path: Path = database.with_name(f".{database.name}.{study_name}.lock")
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StudyError(
                f"{self._path.parent}: cannot be written ({error.strerror}); choose another folder"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise StudyError(
                f"study {self._study_name} is being swept by process {owner}; "
                "wait for it, stop it, or use another --study"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)  # closing drops the lock; the file stays, as removing it would race
            self._descriptor = None
