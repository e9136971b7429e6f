"""MNIST and what comes in its form: the IDX files, or Keras's `mnist.npz`, which is downloaded where there is neither.

Looked for in the folder `path`, else in the folder `SWEEP_DATA`, in each of which it may stand in `mnist/`.
"""

import gzip
import math
import os
import subprocess
import sys
import zlib
from functools import partial
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.data.arrays import Arrays, Pair
from sweep.data.chunks import chunks
from sweep.data.sources import npz
from sweep.errors import DataError

MNIST_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
IDX_UINT8 = 8


def load(path: str | None = None) -> Arrays:
    """60,000 images to train on and 10,000 of the test part. DataError if they are not where they are looked for."""
    folders = _folders(path)
    for folder in folders:
        if folder.is_file() or (folder / "mnist.npz").is_file():
            return npz.load(str(folder if folder.is_file() else folder / "mnist.npz"))
        if _idx_file(folder, MNIST_FILES["train"][0]) is not None:
            return Arrays(train=partial(_read, folder, "train"), test=partial(_read, folder, "test"))
    if folders:
        looked = ", ".join(map(str, folders))
        raise DataError(f"mnist: neither the IDX files nor mnist.npz in {looked}; correct data.path or SWEEP_DATA")
    return npz.load(str(_downloaded()))


def _folders(path: str | None) -> list[Path]:
    if path:
        return [Path(path), Path(path) / "mnist"]
    root = os.environ.get("SWEEP_DATA")
    return [Path(root) / "mnist", Path(root)] if root else []


def _downloaded() -> Path:
    """Keras's copy. Fetched by a process of its own: what Keras imports here could not be set up any more."""
    path = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets" / "mnist.npz"
    if not path.is_file():
        command = [sys.executable, "-c", "import keras; keras.datasets.mnist.load_data()"]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if not path.is_file():
            reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise DataError(f"mnist could not be downloaded ({reason}); set SWEEP_DATA to a folder that holds mnist/")
    return path


def _read(folder: Path, part: str) -> Pair:
    images, labels = (_read_idx(folder, name) for name in MNIST_FILES[part])
    if len(images) != len(labels):
        raise DataError(f"{folder}: {len(images)} {part} images but {len(labels)} labels; download the files again")
    return images, labels


def _idx_file(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.gz", folder / name.replace("-idx", ".idx"))
    return next((path for path in candidates if path.is_file()), None)


def _read_idx(folder: Path, name: str) -> NDArray[np.uint8]:
    """IDX of unsigned bytes: magic 0 0 8 ndim, big-endian uint32 sizes, then the bytes (yann.lecun.com/exdb/mnist)."""
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
