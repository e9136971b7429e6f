"""Labelled image files, which become one array of pixels when they are needed."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.data.decoding import ImageFormat, decode
from sweep.data.image_cache import cached_array, content_digests
from sweep.errors import DataError
from sweep.system.progress import tracked
from sweep.text import counted, first_line

VERSION = 1  # of how files are decoded: another one makes new arrays
MAX_NAMED = 10  # files in a message
FILES_AT_ONCE = 64  # are decoded, before the next ones are
UNIDENTIFIED = "UnidentifiedImageError"  # of Pillow


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Files of one folder, with their labels.

    Attributes:
        root: The folder.
        names: Paths (N,) below it.
        labels: Text (N,).
        image_format: What they are decoded to.
        problems: Files of the folder that are no images, each with the reason.
    """

    root: Path
    names: NDArray[np.str_]
    labels: NDArray[np.str_]
    image_format: ImageFormat
    problems: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of files."""
        return len(self.names)

    def __getitem__(self, rows: NDArray[np.int32]) -> "ImageFiles":
        """Some of the files."""
        return replace(self, names=self.names[rows], labels=self.labels[rows])

    def __add__(self, others: "ImageFiles") -> "ImageFiles":
        """Files of the same folder and format, behind these."""
        return replace(
            self,
            names=np.concatenate([self.names, others.names]),
            labels=np.concatenate([self.labels, others.labels]),
            problems=tuple(dict.fromkeys(self.problems + others.problems)),
        )

    def pixels(self) -> NDArray[np.uint8]:
        """Return the images (N, H, W, C), in a file that is mapped into memory; they are decoded once.

        Raises:
            DataError: Some files are damaged, or are no images.
        """
        if self.problems:
            damaged = [one for one in self._decoded() if isinstance(one, str)]
            raise self._error([*self.problems, *damaged])
        content = [VERSION, asdict(self.image_format), content_digests(self.root, [*map(str, self.names)])]
        return cached_array(hashlib.sha256(json.dumps(content).encode()).hexdigest(), self._write)

    def _write(self, path: Path) -> None:
        """One after the other: in a mapped file, a full disk would end the process instead of raising an error."""
        problems: list[str] = []
        with path.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(self), *self.image_format.shape)}
            np.lib.format.write_array_header_1_0(file, header)
            for decoded in self._decoded():
                if isinstance(decoded, str):
                    problems.append(decoded)
                elif not problems:
                    file.write(np.ascontiguousarray(decoded).data)
        if problems:
            raise self._error(problems)

    def _decoded(self) -> Iterator[NDArray[np.uint8] | str]:
        """In their order: pixels (H, W, C), or what is wrong with the file."""
        return iter(tracked(self._decode_all(), len(self), f"decoding {self.root}"))

    def _decode_all(self) -> Iterator[NDArray[np.uint8] | str]:
        with ThreadPoolExecutor() as threads:
            for start in range(0, len(self), FILES_AT_ONCE):
                yield from threads.map(self._pixels_or_problem, self.names[start : start + FILES_AT_ONCE])

    def _pixels_or_problem(self, name: str) -> NDArray[np.uint8] | str:
        try:
            return decode(self.root / name, self.image_format)
        except Exception as error:  # OSError of most damage, others of some
            reason = "is no JPEG, PNG, BMP or GIF" if type(error).__name__ == UNIDENTIFIED else first_line(error)
            return f"{name} ({reason})"

    def _error(self, problems: list[str]) -> DataError:
        named = ", ".join(problems[:MAX_NAMED]) + (", ..." if len(problems) > MAX_NAMED else "")
        return DataError(
            f"{self.root}: {counted(len(problems), 'file')} cannot be used: {named}; repair, move or remove them"
        )
