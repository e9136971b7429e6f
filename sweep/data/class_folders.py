"""Image files in a subfolder for each class, as `keras.utils.image_dataset_from_directory` finds them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweep.data.decoding import EXTENSIONS
from sweep.errors import DataError

TRAIN, VALIDATION, TEST = ("train", "training"), ("val", "valid", "validation"), ("test",)  # names of folders of parts
OF_THE_SYSTEM = ("Thumbs.db", "desktop.ini")  # of a file manager, like names that start with a dot


class Listing(NamedTuple):
    """The files of a part, in the order of class and name."""

    names: NDArray[np.str_]  # (N,) paths below the root
    labels: NDArray[np.str_]  # (N,)
    problems: tuple[str, ...]  # files that are no images, each with the reason


def list_parts(root: Path) -> tuple[Listing, Listing | None, Listing | None]:
    """List the files of the training, the validation and the test part.

    Args:
        root: A folder of classes, or of the folders `train`, `val` and `test` that have folders of classes.

    Returns:
        The three parts; None for one that has no folder.

    Raises:
        DataError: It is no such folder.
    """
    folders = _subfolders(root)
    if not _has_parts(root, folders):
        return _listing(root, root), None, None
    train, validation, test = (_folder_of_part(root, folders, names) for names in (TRAIN, VALIDATION, TEST))
    assert train is not None
    return (
        _listing(root, train),
        None if validation is None else _listing(root, validation),
        None if test is None else _listing(root, test),
    )


def _subfolders(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not _is_hidden(entry.name))
    except OSError as error:
        raise DataError(f"{folder}: not readable as a folder ({error.strerror}); correct data.path") from None


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in OF_THE_SYSTEM


def _has_parts(root: Path, folders: Sequence[str]) -> bool:
    """A class may be called `train`, too, as the one next to `bus`."""
    train = next((name for name in TRAIN if name in folders), None)
    return train is not None and {*folders} <= {*TRAIN, *VALIDATION, *TEST} and bool(_subfolders(root / train))


def _folder_of_part(root: Path, folders: Sequence[str], names: Sequence[str]) -> Path | None:
    found = [name for name in names if name in folders]
    if len(found) > 1:
        raise DataError(f"{root}: contains {found[0]}/ and {found[1]}/; remove one")
    return root / found[0] if found else None


def _listing(root: Path, part: Path) -> Listing:
    classes = _subfolders(part)
    if len(classes) < 2:
        raise DataError(f"{part}: needs a subfolder for each class, it has {len(classes)}; correct data.path")
    names: list[str] = []
    labels: list[str] = []
    problems = [f"{_below(root, path)} (in no folder of a class)" for path in sorted(part.iterdir()) if _is_image(path)]
    for label in classes:
        files = _walk(part / label)
        images = [_below(root, path) for path in files if _is_image(path)]
        names, labels = names + images, labels + [label] * len(images)
        problems += [f"{_below(root, path)} (not {', '.join(EXTENSIONS)})" for path in files if not _is_image(path)]
        if not files:
            problems.append(f"{_below(root, part / label)} (a folder without images)")
    return Listing(np.array(names, np.str_), np.array(labels, np.str_), tuple(problems))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in EXTENSIONS and path.is_file() and not _is_hidden(path.name)


def _below(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _walk(folder: Path) -> list[Path]:
    """Files at any depth, without what the system puts there."""
    found: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        found += [Path(place, name) for name in files if not _is_hidden(name)]
    return sorted(found)
