"""Decoded images on the disk: one memory-mapped file of bytes for each content and format, so a second start is quick.

The files lie in the folder `SWEEP_CACHE`, else in `~/.cache/sweep`; they may be removed at any time. An array is found
by a digest of the format and of all files' names and contents. That digest is remembered by the files' sizes and times
of modification, so that their contents are read only once.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.image_files import ImageFile, ImageFormat, decode, listed, size_of
from sweep.errors import DataError, InputError
from sweep.system.files import replacing, write_text
from sweep.system.progress import tracked

VERSION = 1  # of how files are decoded
SETTLED_S = 2.0  # a file that was modified this shortly before may be modified again in the same tick of its clock


def cached_images(folder: Path, files: Sequence[ImageFile], image_format: ImageFormat) -> NDArray[np.uint8]:
    """Return the images as a read-only memory map (N, H, W, C), decoding them if they are not cached.

    Args:
        folder: Where the files are, for messages.
        files: The files.
        image_format: Size and colors of the images.

    Raises:
        DataError: Files are damaged, all of which are named, or of several sizes; or the cache cannot be written.

    """
    path = _cache_folder() / f"images-{_digest(folder, files, image_format)}.npy"
    if not path.is_file():
        shape = _shape(folder, files, image_format)
        try:
            with replacing(path) as unfinished:
                _decode_all(folder, files, image_format, _new_file(unfinished, shape))
        except DataError:  # of the files
            raise
        except InputError as error:
            raise DataError(f"decoded images cannot be stored: {error}; SWEEP_CACHE names another folder") from None
    images: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return images


def _cache_folder() -> Path:
    given, base = os.environ.get("SWEEP_CACHE"), os.environ.get("XDG_CACHE_HOME")
    return Path(given) if given else (Path(base) if base else Path.home() / ".cache") / "sweep"


# ---- what identifies the images ----


def _digest(folder: Path, files: Sequence[ImageFile], image_format: ImageFormat) -> str:
    """Return a digest of format, names and contents; it is remembered by sizes and times of modification."""
    stats = [file.path.stat() for file in files]
    known_by = [(str(file.path), stat.st_size, stat.st_mtime_ns) for file, stat in zip(files, stats, strict=True)]
    note = _cache_folder() / f"folder-{_sha256([repr((VERSION, image_format, known_by))])}.json"
    if note.is_file():
        return str(json.loads(note.read_text())["digest"])
    names = [str(file.path.relative_to(folder)) for file in files]
    contents = _in_threads(_content, [file.path for file in files], "reading images")
    digest = _sha256([repr((VERSION, image_format)), *names, *contents])
    if time.time() - max(stat.st_mtime for stat in stats) > SETTLED_S:
        write_text(note, json.dumps({"digest": digest}))
    return digest


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


# ---- decoding ----


def _shape(folder: Path, files: Sequence[ImageFile], image_format: ImageFormat) -> tuple[int, int, int, int]:
    """Return the shape of the array of all images."""
    height, width = image_format.size or _common_size(folder, files)
    channels = {"grayscale": 1, "rgb": 3, "rgba": 4}[image_format.color_mode]
    return len(files), height, width, channels


def _common_size(folder: Path, files: Sequence[ImageFile]) -> tuple[int, int]:
    sizes: list[tuple[int, int]] = [
        size for size in _in_threads(_size_or_none, [file.path for file in files], "reading sizes") if size
    ]
    distinct = {*sizes}
    if len(distinct) == 1:
        return sizes[0]
    if not distinct:
        raise DataError(f"{folder}: none of the {len(files)} images can be read; correct data.path")
    height, width = (int(np.median(sides)) for sides in zip(*sizes, strict=True))
    raise DataError(
        f"{folder}: images have {len(distinct)} different sizes, from {min(distinct)} to {max(distinct)}; "
        f"set data.options.image_size, for example to [{height}, {width}], their median"
    )


def _size_or_none(path: Path) -> tuple[int, int] | None:
    try:
        return size_of(path)
    except Exception:  # `_decode_all` names damaged files
        return None


def _new_file(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Create an array in a new file."""
    return np.lib.format.open_memmap(path, "w+", np.uint8, shape)


def _decode_all(folder: Path, files: Sequence[ImageFile], image_format: ImageFormat, images: NDArray[np.uint8]) -> None:
    """Decode the files into `images`. DataError if some cannot be decoded."""

    def decode_one(index: int) -> str | None:
        try:
            images[index] = decode(files[index].path, image_format)
        except Exception as error:  # of Pillow's many kinds
            return str(error)
        return None

    problems = _in_threads(decode_one, range(len(files)), "decoding images")
    damaged = [index for index, problem in enumerate(problems) if problem is not None]
    if damaged:
        named = listed([files[index].path for index in damaged], folder, "image")
        raise DataError(f"{folder}: {named} damaged ({problems[damaged[0]]}); repair them or move them away")


def _in_threads(function: Callable[[Any], Any], items: Sequence[Any], what: str) -> list[Any]:
    """Return the results in order; Pillow and hashlib release the interpreter's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return [*tracked(threads.map(function, items), len(items), what)]
