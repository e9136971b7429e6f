"""Name or file -> arrays of stated shape, dtype and split, with a content hash.

Three parts: test, validation, train. What a sweep loads (`load`) never reads the test images; only a retrain asks for
them (`load_test`, or a config that says `validation = "test"`, which a sweep refuses). Axes: N images, H height,
W width, C channels, Y classes.
"""

import gzip
import hashlib
import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.config import DataConfig
from sweep.errors import DataError

Images = NDArray[np.float32]
Labels = NDArray[np.int32]
Pair = tuple[NDArray[Any], NDArray[Any]]
Pool = Pair  # images and labels that are not test, as they are in their source
PoolKey = tuple[str, str | None, float]

MNIST_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
IDX_UINT8 = 8
_given_pools: dict[PoolKey, Pool] = {}  # by the launcher


@dataclass(frozen=True)
class Dataset:
    """What training sees: images float32 (N, H, W, C), labels int32 (N,) in 0..Y-1; the test part is not here.

    The validation part is empty where the config trains on it too.
    """

    x_train: Images
    y_train: Labels
    x_validation: Images
    y_validation: Labels
    num_classes: int
    content_hash: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.x_train.shape[1:]


@dataclass(frozen=True)
class _Source:
    """Where images come from: readers for the part to train on and the test part, and the value of full scale."""

    read_pool: Callable[[], Pair]
    read_test: Callable[[], Pair]


@lru_cache(maxsize=4)
def load(config: DataConfig) -> Dataset:
    """Train and validation parts, scaled by statistics of the train part alone. DataError if they cannot be had.

    >>> load(DataConfig()).x_train.shape
    (1149, 8, 8, 1)
    """
    train, validation, num_classes, content_hash = _split(config)
    scale = _fit_scaling(train[0], config)
    return Dataset(scale(train[0]), train[1], scale(validation[0]), validation[1], num_classes, content_hash)


@lru_cache(maxsize=1)
def load_test(config: DataConfig) -> tuple[Images, Labels]:
    """The test part, scaled as `load` scales. For `retrain` alone."""
    train, _, num_classes, _ = _split(config)
    images, labels = _test_part(config, num_classes)
    return _fit_scaling(train[0], config)(images), labels


def pool_key(config: DataConfig) -> PoolKey:
    """What the pool depends on: configs that split or scale it in their own ways share it."""
    return (config.name, config.path, config.test_fraction)


def read_pool(config: DataConfig) -> Pool:
    """All that is not test, from its file unless it was given. DataError if it cannot be had."""
    given = _given_pools.get(pool_key(config))
    return given if given is not None else _source(config).read_pool()


def give_pools(pools: dict[PoolKey, Pool]) -> None:
    """What `read_pool` shall take instead of files: this process's machine may not have them."""
    _given_pools.update(pools)


def _split(config: DataConfig) -> tuple[Pair, Pair, int, str]:
    images, labels = read_pool(config)
    images, num_classes = _with_channels(images), _count_classes(labels)
    labels = _checked_labels(labels, num_classes)
    content_hash = _content_hash(images, labels)
    train, validation = _train_and_validation(images, labels, num_classes, config)
    if config.num_train is not None and config.num_train != len(train[1]):
        _, train = _stratified(*train, config.num_train, config.split_seed, "num_train")
    if config.train_on == "train+validation":
        train = np.concatenate([train[0], validation[0]]), np.concatenate([train[1], validation[1]])
        validation = validation[0][:0], validation[1][:0]
    return train, validation, num_classes, content_hash


def _train_and_validation(
    images: NDArray[Any], labels: NDArray[Any], num_classes: int, config: DataConfig
) -> tuple[Pair, Pair]:
    if config.validation == "test":
        return (images, labels), _test_part(config, num_classes)
    if config.fold is not None:
        return _fold(images, labels, config)
    num_validation = config.num_validation or math.ceil(config.validation_fraction * len(labels))
    return _stratified(images, labels, num_validation, config.split_seed, "num_validation")


def _fold(images: NDArray[Any], labels: NDArray[Any], config: DataConfig) -> tuple[Pair, Pair]:
    """scikit-learn's StratifiedKFold, shuffled by the split seed: every image is in one fold's validation part."""
    from sklearn.model_selection import StratifiedKFold

    assert config.num_folds is not None
    assert config.fold is not None
    least = int(np.bincount(labels).min())
    if config.num_folds > least:
        raise DataError(f"data.num_folds = {config.num_folds} does not fit: a class has {least} images; use fewer")
    folds = StratifiedKFold(config.num_folds, shuffle=True, random_state=config.split_seed)
    first, second = [*folds.split(labels, labels)][config.fold - 1]
    return (images[first], labels[first]), (images[second], labels[second])


def _test_part(config: DataConfig, num_classes: int) -> Pair:
    images, labels = _source(config).read_test()
    return _with_channels(images), _checked_labels(labels, num_classes)


def _stratified(images: NDArray[Any], labels: NDArray[Any], num_second: int, seed: int, key: str) -> tuple[Pair, Pair]:
    """Split off `num_second` images with the classes in proportion."""
    from sklearn.model_selection import train_test_split

    try:
        first, second = train_test_split(
            np.arange(len(labels)), test_size=num_second, stratify=labels, random_state=seed
        )
    except ValueError as error:
        reason = " ".join(str(error).split())  # scikit-learn may list classes over many lines
        raise DataError(f"data.{key} = {num_second} does not fit {len(labels)} images: {reason}") from None
    first, second = np.sort(first), np.sort(second)
    return (images[first], labels[first]), (images[second], labels[second])


def _fit_scaling(x_train: NDArray[Any], config: DataConfig) -> Callable[[NDArray[Any]], Images]:
    if config.scaling == "standard":
        return _standard_scaling(x_train)
    full_scale = 255.0 if x_train.dtype == np.uint8 else float(np.abs(x_train).max()) or 1.0
    return lambda images: (images / full_scale).astype(np.float32)


def _standard_scaling(x_train: NDArray[Any]) -> Callable[[NDArray[Any]], Images]:
    """(x - mean) / standard deviation for each pixel, by scikit-learn's StandardScaler fitted on the train part."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(x_train.reshape(len(x_train), -1))

    def scale(images: NDArray[Any]) -> Images:
        if not len(images):  # no validation part
            return images.astype(np.float32)
        return scaler.transform(images.reshape(len(images), -1)).reshape(images.shape).astype(np.float32)  # type: ignore[no-any-return]

    return scale


def _with_channels(images: NDArray[Any]) -> NDArray[Any]:
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.dtype.kind not in "iuf" or not len(images):
        raise DataError(
            f"images have shape {images.shape} and kind {images.dtype}; "
            "numbers of shape (N, H, W) or (N, H, W, C) are wanted"
        )
    if not np.isfinite(images).all():
        raise DataError("images hold NaN or infinity; clean them first")
    return images


def _count_classes(labels: NDArray[Any]) -> int:
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"labels have shape {labels.shape} and kind {labels.dtype}; whole numbers of shape (N,) are wanted"
        )
    num_classes = int(labels.max()) + 1
    if num_classes > len(labels):
        raise DataError(f"labels run to {num_classes - 1} for {len(labels)} images; number the classes from 0")
    return num_classes


def _checked_labels(labels: NDArray[Any], num_classes: int) -> Labels:
    if labels.min() < 0 or labels.max() >= num_classes:
        raise DataError(f"labels run from {labels.min()} to {labels.max()}; 0 to {num_classes - 1} are wanted")
    return labels.astype(np.int32)


def _content_hash(images: NDArray[Any], labels: NDArray[Any]) -> str:
    """SHA-256 over shape, dtype and bytes of the raw images and labels that are not test."""
    digest = hashlib.sha256()
    for array in (images, labels):
        digest.update(f"{array.shape}{array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _source(config: DataConfig) -> _Source:
    if config.name == "digits":
        return _without_test_set(_read_digits(), config)
    if config.name == "npz":
        return _npz_source(Path(str(config.path)), config)
    return _mnist_source(config)


def _without_test_set(pair: Pair, config: DataConfig) -> _Source:
    """A seeded stratified part becomes the test set, the same for every split seed of the rest."""
    num_test = math.ceil(config.test_fraction * len(pair[1]))
    pool, test = _stratified(*pair, num_test, 0, "test_fraction")
    return _Source(lambda: pool, lambda: test)


def _read_digits() -> Pair:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images.astype(np.float32), digits.target


def _mnist_source(config: DataConfig) -> _Source:
    for folder in _mnist_folders(config):
        if folder.is_file() or (folder / "mnist.npz").is_file():
            return _npz_source(folder if folder.is_file() else folder / "mnist.npz", config)
        if _idx_file(folder, MNIST_FILES["train"][0]) is not None:
            return _Source(lambda f=folder: _read_mnist(f, "train"), lambda f=folder: _read_mnist(f, "test"))  # type: ignore[misc]
    if config.path or os.environ.get("SWEEP_DATA"):
        looked = ", ".join(str(folder) for folder in _mnist_folders(config))
        raise DataError(f"mnist: neither the IDX files nor mnist.npz in {looked}; correct data.path or SWEEP_DATA")
    return _downloaded_mnist()


def _mnist_folders(config: DataConfig) -> list[Path]:
    if config.path:
        return [Path(config.path), Path(config.path) / "mnist"]
    root = os.environ.get("SWEEP_DATA")
    return [Path(root) / "mnist", Path(root)] if root else []


def _downloaded_mnist() -> _Source:
    import keras

    try:
        (x_train, y_train), test = keras.datasets.mnist.load_data()
    except Exception as error:
        raise DataError(
            f"mnist could not be downloaded ({error}); set SWEEP_DATA to a folder that holds mnist/"
        ) from None
    return _Source(lambda: (x_train, y_train), lambda: test)


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
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        ndim = raw[3]
        shape = np.frombuffer(raw, ">u4", count=ndim, offset=4)
        if raw[:3] != bytes((0, 0, IDX_UINT8)):
            raise ValueError("the first bytes are not those of IDX")
        return np.frombuffer(raw, np.uint8, offset=4 + 4 * ndim).reshape(shape.astype(int))
    except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
        raise DataError(f"{path}: damaged or no IDX file ({error}); fetch it again") from None


def _npz_source(path: Path, config: DataConfig) -> _Source:
    names = _npz_names(path)
    if {"x_train", "y_train", "x_test", "y_test"} <= names:
        return _Source(lambda: _read_npz(path, "x_train", "y_train"), lambda: _read_npz(path, "x_test", "y_test"))
    if {"x", "y"} <= names:
        return _without_test_set(_read_npz(path, "x", "y"), config)
    raise DataError(f"{path}: holds {sorted(names)}; arrays x, y or x_train, y_train, x_test, y_test are wanted")


def _npz_names(path: Path) -> set[str]:
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")  # a pipe or a device may never end
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return set(arrays.files)
    except Exception as error:  # zipfile, OS and NumPy errors alike: the file is not a usable npz
        raise DataError(f"{path}: not readable as .npz ({error}); correct data.path") from None


def _read_npz(path: Path, x_name: str, y_name: str) -> Pair:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, labels = arrays[x_name], arrays[y_name]
    except Exception as error:  # an object array refuses to load without pickle
        raise DataError(f"{path}: {x_name} or {y_name} is not a plain array ({error})") from None
    if images.shape[:1] != labels.shape[:1] or not images.ndim:
        raise DataError(f"{path}: {x_name} of shape {images.shape} and {y_name} of shape {labels.shape} do not match")
    return images, labels
