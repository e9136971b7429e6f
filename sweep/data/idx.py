"""Read IDX files: MNIST and the data sets that come in its form (yann.lecun.com/exdb/mnist)."""

import gzip
import math
import zlib
from functools import partial
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.data.arrays import Arrays, Pair
from sweep.data.chunks import chunks
from sweep.errors import DataError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
IDX_UINT8 = 8


def idx_arrays(folder: Path) -> Arrays | None:
    """Return the parts in the four files of a folder, plain or .gz; None if its first file is missing."""
    if _idx_file(folder, FILES["train"][0]) is None:
        return None
    return Arrays(partial(_read, folder, "train"), test=partial(_read, folder, "test"))


def _read(folder: Path, part: str) -> Pair:
    images, labels = (_read_idx(folder, name) for name in FILES[part])
    if len(images) != len(labels):
        raise DataError(f"{folder}: {len(images)} {part} images but {len(labels)} labels; download the files again")
    return images, labels


def _idx_file(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.gz", folder / name.replace("-idx", ".idx"))
    return next((path for path in candidates if path.is_file()), None)


def _read_idx(folder: Path, name: str) -> NDArray[np.uint8]:
    """IDX of unsigned bytes: magic 0 0 8 ndim, big-endian uint32 sizes, then the bytes."""
    path = _idx_file(folder, name)
    if path is None:
        raise DataError(f"{folder}: {name} (plain or .gz) is missing; all four IDX files are needed")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _read_open_idx(file)
    except (OSError, EOFError, ValueError, IndexError, MemoryError, zlib.error) as error:
        raise DataError(f"{path}: damaged or not an IDX file ({error}); download it again") from None


def _read_open_idx(file: BufferedIOBase) -> NDArray[np.uint8]:
    """Straight into the array: nothing is held twice."""
    magic = file.read(4)
    shape = tuple(map(int, np.frombuffer(file.read(4 * magic[3]), ">u4")))
    if magic[:3] != bytes((0, 0, IDX_UINT8)) or len(shape) != magic[3]:
        raise ValueError("it does not begin as an IDX file")
    images = np.empty(math.prod(shape), np.uint8)
    num_read: int = sum(file.readinto(images[chunk].data) for chunk in chunks(images))
    if num_read != len(images) or file.read(1):
        raise ValueError(f"it holds {'more' if num_read == len(images) else 'fewer'} bytes than its header says")
    return images.reshape(shape)
