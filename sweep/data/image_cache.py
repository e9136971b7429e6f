"""A folder of decoded images and of the files' digests: `SWEEP_CACHE`, else `sweep` in the user's folder of caches.

It may be deleted at any time. An array has the name of what it was made of, so that it is never out of date.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.errors import DataError, InputError
from sweep.system.files import replacing, write_text
from sweep.system.progress import tracked

FRESH_NS = 2 * 10**9  # a file that changed so recently may change again without another time: FAT counts in 2 s


def cache_folder() -> Path:
    """Return the folder, which may not exist yet."""
    named = os.environ.get("SWEEP_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sweep"


def cached_array(key: str, write: Callable[[Path], None]) -> NDArray[np.uint8]:
    """Return the array of a key, mapped from its file, not to be written to.

    Args:
        key: Of all that the array follows from.
        write: Writes the array as a `.npy` file to a path, if there is none yet.

    Raises:
        DataError: The folder cannot be written.
    """
    path = cache_folder() / "images" / f"{key}.npy"
    try:
        return _mapped(path)
    except (OSError, ValueError):  # absent, or damaged
        try:
            with replacing(path) as unfinished:
                write(unfinished)
        except DataError:
            raise
        except InputError as error:
            raise DataError(f"{error}; SWEEP_CACHE names the folder of decoded images") from None
        return _mapped(path)


def _mapped(path: Path) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = np.lib.format.open_memmap(path, mode="r")
    return array


def content_digests(root: Path, names: Sequence[str]) -> list[str]:
    """Return the SHA-256 of each file's content.

    A file whose size, times and inode are those of an earlier call is not read again. The time of the last change of
    the inode (`ctime`) is set by the system alone, so a change that keeps the other time is noticed too.

    Args:
        root: A folder.
        names: Paths of files in it.
    """
    path = cache_folder() / "digests" / f"{hashlib.sha256(str(root.resolve()).encode()).hexdigest()}.json"
    known, started_ns, current = _read_index(path), time.time_ns(), {}
    for name in tracked(names, len(names), f"reading {root}"):
        state = os.stat(root / name)
        stamp = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
        found = known.get(name, [])
        digest = found[-1] if found[:-1] == stamp else _digest(root / name)
        is_settled = max(state.st_mtime_ns, state.st_ctime_ns) < started_ns - FRESH_NS
        current[name] = [*(stamp if is_settled else ()), digest]
    if any(known.get(name) != entry for name, entry in current.items()):
        _write_index(path, {**known, **current})
    return [entry[-1] for entry in current.values()]


def _read_index(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text())
        return known if isinstance(known, dict) else {}
    except (OSError, ValueError):
        return {}


def _write_index(path: Path, entries: dict[str, Any]) -> None:
    with suppress(InputError):  # files are then read again at each start
        write_text(path, json.dumps(entries))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
