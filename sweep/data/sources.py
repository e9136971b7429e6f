"""Where images come from: a name or a file -> pairs of images and labels as they are in their source.

Axes: N images, H height, W width, C channels.
"""

import gzip
import math
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweep.config.data import DataConfig
from sweep.data.chunks import chunks, keep_rows
from sweep.data.labels import plain_labels
from sweep.data.likeness import check_like
from sweep.data.splits import stratified
from sweep.errors import DataError

Pair = tuple[NDArray[Any], NDArray[Any]]
PoolKey = tuple[str, str | None, float]

PARTS = (("", "_train"), ("_val", "_valid", "_validation"), ("_test",))  # of an npz: how names of its arrays end
MNIST_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
IDX_UINT8 = 8


class RawPool(NamedTuple):
    """Images and labels that are not test, as they are in their source; at their end those of `num_validation`."""

    images: NDArray[Any]
    labels: NDArray[Any]  # (N,), numbers or text
    num_validation: int = 0  # images that the source brings as its validation part


_given_pools: dict[PoolKey, RawPool] = {}  # by the launcher


@dataclass(frozen=True)
class _Source:
    """Where images come from: a reader for all that is not test, and one for the test part."""

    read_pool: Callable[[], RawPool]
    read_test: Callable[[], Pair]


def pool_key(config: DataConfig) -> PoolKey:
    """What the pool depends on: configs that split or scale it in their own ways share it."""
    return (config.name, config.path, config.test_fraction)


def read_pool(config: DataConfig) -> RawPool:
    """All that is not test, from its file unless it was given. DataError if it cannot be had."""
    given = _given_pools.get(pool_key(config))
    return given if given is not None else _source(config).read_pool()


def read_test(config: DataConfig) -> Pair:
    """The test part, from its file. DataError if it cannot be had."""
    return _source(config).read_test()


def give_pools(pools: dict[PoolKey, RawPool]) -> None:
    """What `read_pool` shall take instead of files: this process's machine may not have them."""
    _given_pools.update(pools)


def _source(config: DataConfig) -> _Source:
    if config.name == "digits":
        return _without_test_set(_read_digits, config)
    if config.name == "npz":
        return _npz_source(Path(str(config.path)), config)
    return _mnist_source(config)


def _without_test_set(read: Callable[[], Pair], config: DataConfig) -> _Source:
    """A seeded stratified part becomes the test set, the same for every split seed of the rest."""

    def part(index: int) -> Pair:
        images, labels = read()
        num_test = math.ceil(config.test_fraction * len(labels))
        rows = stratified(labels, num_test, 0, f"data.test_fraction = {config.test_fraction}")[index]
        return keep_rows(images, rows), labels[rows]

    return _Source(lambda: RawPool(*part(0)), lambda: part(1))


def _read_digits() -> Pair:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images.astype(np.float32), digits.target


def _mnist_source(config: DataConfig) -> _Source:
    for folder in _mnist_folders(config):
        if folder.is_file() or (folder / "mnist.npz").is_file():
            return _npz_source(folder if folder.is_file() else folder / "mnist.npz", config)
        if _idx_file(folder, MNIST_FILES["train"][0]) is not None:
            return _Source(lambda f=folder: RawPool(*_read_mnist(f, "train")), lambda f=folder: _read_mnist(f, "test"))  # type: ignore[misc]
    if config.path or os.environ.get("SWEEP_DATA"):
        looked = ", ".join(str(folder) for folder in _mnist_folders(config))
        raise DataError(f"mnist: neither the IDX files nor mnist.npz in {looked}; correct data.path or SWEEP_DATA")
    return _npz_source(_downloaded_mnist(), config)


def _mnist_folders(config: DataConfig) -> list[Path]:
    if config.path:
        return [Path(config.path), Path(config.path) / "mnist"]
    root = os.environ.get("SWEEP_DATA")
    return [Path(root) / "mnist", Path(root)] if root else []


def _downloaded_mnist() -> Path:
    """Keras's copy. Fetched by a process of its own: what Keras imports here could not be set up any more."""
    path = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets" / "mnist.npz"
    if not path.is_file():
        command = [sys.executable, "-c", "import keras; keras.datasets.mnist.load_data()"]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if not path.is_file():
            reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise DataError(f"mnist could not be downloaded ({reason}); set SWEEP_DATA to a folder that holds mnist/")
    return path


def _read_mnist(folder: Path, part: str) -> Pair:
    images, labels = (_read_idx(folder, name) for name in MNIST_FILES[part])
    if len(images) != len(labels):
        raise DataError(f"{folder}: {len(images)} {part} images but {len(labels)} labels; fetch the files again")
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
        raise DataError(f"{path}: damaged or no IDX file ({error}); fetch it again") from None


def _read_open_idx(file: BufferedIOBase) -> NDArray[np.uint8]:
    """Straight into the array: nothing is held twice."""
    magic = file.read(4)
    shape = tuple(map(int, np.frombuffer(file.read(4 * magic[3]), ">u4")))
    if magic[:3] != bytes((0, 0, IDX_UINT8)) or len(shape) != magic[3]:
        raise ValueError("the first bytes are not those of IDX")
    images = np.empty(math.prod(shape), np.uint8)
    num_read: int = sum(file.readinto(images[chunk].data) for chunk in chunks(images))
    if num_read != len(images) or file.read(1):
        raise ValueError(f"it holds {'more' if num_read == len(images) else 'fewer'} bytes than its header says")
    return images.reshape(shape)


def _npz_source(path: Path, config: DataConfig) -> _Source:
    """Of arrays x, y or x_train, y_train; without x_test, y_test a test part is split off."""
    names = _npz_names(path)
    train, validation, test = (_part_of(path, names, ends) for ends in PARTS)
    if train is None:
        raise DataError(
            f"{path}: holds {sorted(names)}; it must hold arrays x, y or x_train, y_train; "
            "x_val, y_val and x_test, y_test are read too"
        )
    if test is None:
        source = _without_test_set(lambda: _read_npz(path, *train), config)
    else:
        source = _Source(lambda: RawPool(*_read_npz(path, *train)), lambda: _read_npz(path, *test))
    if validation is None:
        return source
    return _Source(lambda: _with_validation(path, source.read_pool(), _read_npz(path, *validation)), source.read_test)


def _part_of(path: Path, names: set[str], ends: Sequence[str]) -> tuple[str, str] | None:
    """Names of its images and labels; DataError if one is there without the other, or a part twice."""
    given = [end for end in ends if names & {f"x{end}", f"y{end}"}]
    if len(given) > 1:
        raise DataError(f"{path}: holds x{given[0]} and x{given[1]}; remove one")
    pair = (f"x{given[0]}", f"y{given[0]}") if given else None
    missing = next((name for name in pair or () if name not in names), None)
    if missing is not None:
        raise DataError(f"{path}: {missing} is missing, as images and labels go together; add it")
    return pair


def _with_validation(path: Path, pool: RawPool, validation: Pair) -> RawPool:
    """One array of both; DataError where they do not fit each other."""
    images, labels = validation
    if images.dtype != pool.images.dtype or images.shape[1:] != pool.images.shape[1:]:
        raise DataError(
            f"{path}: validation images are {images.dtype} of shape {images.shape[1:]}, "
            f"those to train on {pool.images.dtype} of shape {pool.images.shape[1:]}; make both alike"
        )
    if len(images) and len(pool.images):
        check_like(images, pool.images, f"{path}: validation")
    if (labels.dtype.kind == "U") != (pool.labels.dtype.kind == "U"):
        raise DataError(f"{path}: of validation labels and those to train on, one are text; write both alike")
    return RawPool(np.concatenate([pool.images, images]), np.concatenate([pool.labels, labels]), len(labels))


def _npz_names(path: Path) -> set[str]:
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")  # a pipe or a device may never end
        with path.open("rb") as file:
            if file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
                raise ValueError("it is a single array; save images and labels with np.savez(file, x=..., y=...)")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return set(arrays.files)
    except Exception as error:  # zipfile, OS and NumPy errors alike: the file is not a usable npz
        raise DataError(f"{path}: not readable as .npz ({error}); correct data.path") from None


def _read_npz(path: Path, x_name: str, y_name: str) -> Pair:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, labels = arrays[x_name], arrays[y_name]
    except Exception as error:  # an object array refuses to load without pickle
        raise DataError(
            f"{path}: {x_name} or {y_name} is not a plain array ({error}){_fix_of_objects(error)}"
        ) from None
    if images.shape[:1] != labels.shape[:1] or not images.ndim:
        raise DataError(f"{path}: {x_name} of shape {images.shape} and {y_name} of shape {labels.shape} do not match")
    try:
        return images, plain_labels(labels)
    except DataError as error:
        raise DataError(f"{path}: {y_name}: {error}") from None


def _fix_of_objects(error: Exception) -> str:
    """Text in pandas is an array of Python objects."""
    if "Object arrays" not in str(error):
        return ""
    return "; save text labels as y.astype(str), images as an array of numbers"
