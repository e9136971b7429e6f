"""Read CIFAR-10 and CIFAR-100 as they are published: batches for Python or in binary, in their archive or unpacked.

https://www.cs.toronto.edu/~kriz/cifar.html
"""

import io
import pickle
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweep.data.arrays import Arrays, Pair
from sweep.errors import DataError

SIDE, CHANNELS = 32, 3
PIXELS = SIDE * SIDE * CHANNELS
IN_PICKLES = {  # what NumPy's arrays are made of; nothing else in a pickle is executed
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class Form(NamedTuple):
    """One of the published forms of a data set: its archive, the folder in it, the files of its parts."""

    archive: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    parse: Callable[[bytes], tuple[NDArray[np.uint8], NDArray[np.uint8]]]  # -> pixels (N, 3072), labels (N,)


@dataclass(frozen=True)
class Batches:
    """Where the files of a form are: in a folder or in an archive."""

    place: Path
    form: Form

    def read(self, names: Sequence[str]) -> Pair:
        """Return the images (N, 32, 32, 3) and labels (N,) of these files."""
        try:
            parsed = [self.form.parse(content) for content in self._contents(names)]
        except (
            OSError,
            EOFError,
            KeyError,
            ValueError,
            TypeError,
            tarfile.TarError,
            zlib.error,
            pickle.PickleError,
        ) as error:
            raise DataError(f"{self.place}: damaged or incomplete ({error}); download it again") from None
        images = np.empty((sum(len(labels) for _, labels in parsed), SIDE, SIDE, CHANNELS), np.uint8)
        start = 0
        for pixels, labels in parsed:
            images[start : start + len(labels)] = pixels.reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)
            start += len(labels)
        return images, np.concatenate([labels for _, labels in parsed])

    def _contents(self, names: Sequence[str]) -> list[bytes]:
        if self.place.is_dir():
            return [(self.place / name).read_bytes() for name in names]
        found = {}
        with tarfile.open(self.place) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                file = archive.extractfile(member) if name in names else None
                if file is not None:
                    found[name] = file.read()
        return [found[name] for name in names]


def cifar_arrays(folder: Path, forms: Sequence[Form]) -> Arrays | None:
    """Return the parts of a data set in a folder; None if there is none of its forms."""
    for form in forms:
        for place in (folder / form.archive, folder / form.folder, folder):
            if place.is_file() or (place / form.train[0]).is_file():
                batches = Batches(place, form)
                return Arrays(train=partial(batches.read, form.train), test=partial(batches.read, form.test))
    return None


class _Unpickler(pickle.Unpickler):
    """Makes arrays and plain values, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Raise UnpicklingError for what no CIFAR file contains."""
        if (module, name) not in IN_PICKLES:
            raise pickle.UnpicklingError(f"it contains {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def parse_pickle(key: bytes, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pixels and labels of a batch for Python, whose labels have this key."""
    batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    return _checked(np.asarray(batch[b"data"], np.uint8), np.asarray(batch[key], np.uint8))


def parse_binary(num_labels: int, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pixels and labels of a binary batch: each image has so many labels, of which the last counts, then its pixels."""
    records = np.frombuffer(content, np.uint8).reshape(-1, num_labels + PIXELS)
    return _checked(records[:, num_labels:], records[:, num_labels - 1])


def _checked(pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if pixels.shape != (len(labels), PIXELS):
        raise ValueError(f"{len(labels)} labels and pixels of shape {pixels.shape}")
    return pixels, labels
