"""Find image files by class, and decode them as Keras's `load_img` does, without Keras.

Keras must not be imported before the device is set up, and images are read before that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.errors import DataError
from sweep.text import counted

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
COLOR_MODES = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}  # and what Pillow calls them
IGNORED = ("Thumbs.db", "desktop.ini")  # which file managers leave; names that begin with a dot are ignored too
MANY_BITS = ("I", "I;16", "I;16B", "I;16L", "F")  # Pillow's modes of more than 8 bits a channel
MAX_NAMED = 20  # files in a message


@dataclass(frozen=True)
class ImageFile:
    """An image file and the name of its class."""

    path: Path
    label: str


@dataclass(frozen=True)
class ImageFormat:
    """How files become arrays.

    Attributes:
        size: Height and width; None keeps the files' own.
        color_mode: A key of `COLOR_MODES`.
        crop: Whether images are cropped to the aspect ratio of `size` first.
    """

    size: tuple[int, int] | None
    color_mode: str
    crop: bool


def find_images(folder: Path) -> list[ImageFile]:
    """Return the images of a folder that has a subfolder for each class, sorted by their paths.

    Args:
        folder: The folder; a class may have further folders within its own.

    Returns:
        The files.

    Raises:
        DataError: There are files of other kinds, all of which are named, or a class without images.

    """
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = [ImageFile(path, one.name) for one in classes for path in sorted(_files(one))]
    foreign = [file.path for file in files if file.path.suffix.lower() not in EXTENSIONS]
    if foreign:
        raise DataError(f"{folder}: {listed(foreign, folder, 'file')} not of {', '.join(EXTENSIONS)}; move them away")
    empty = next((one for one in classes if not any(file.label == one.name for file in files)), None)
    if empty is not None:
        raise DataError(f"{empty}: contains no images; add some, or remove the folder")
    if len(classes) < 2:
        raise DataError(f"{folder}: needs a subfolder for each class, it has {len(classes)}; correct data.path")
    return files


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith(".") and path.name not in IGNORED:
            yield path


def listed(paths: Sequence[Path], folder: Path, noun: str) -> str:
    """Return a number of files with their names within the folder, as in `2 files (a/1.txt, b/2.txt) are`."""
    named = ", ".join(str(path.relative_to(folder)) for path in paths[:MAX_NAMED])
    more = f", and {len(paths) - MAX_NAMED} more" if len(paths) > MAX_NAMED else ""
    return f"{counted(len(paths), noun)} ({named}{more}) {'is' if len(paths) == 1 else 'are'}"


def decode(path: Path, image_format: ImageFormat) -> NDArray[np.uint8]:
    """Return an image as uint8 (H, W, C).

    Args:
        path: A file of one of `EXTENSIONS`; of an animation the first frame is read.
        image_format: Its size and colors.

    Raises:
        ValueError: The file has more than 8 bits a channel.
        Exception: What Pillow raises for a damaged file.

    """
    from PIL import Image

    with Image.open(path) as image:
        if image.mode in MANY_BITS:
            raise ValueError(f"more than 8 bits a channel (mode {image.mode})")
        converted = image.convert(COLOR_MODES[image_format.color_mode])
    array = np.asarray(_resized(converted, image_format))
    return array[..., None] if array.ndim == 2 else array


def _resized(image: Any, image_format: ImageFormat) -> Any:
    from PIL import Image

    if image_format.size is None or image.size == image_format.size[::-1]:
        return image
    height, width = image_format.size
    box = _centered(image.size, width, height) if image_format.crop else None
    return image.resize((width, height), Image.Resampling.BILINEAR, box=box)


def _centered(size: tuple[int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """Return the largest box of that aspect ratio at the center of an image of `size` (width, height)."""
    crop_width = min(size[0], size[1] * width // height)
    crop_height = min(size[1], size[0] * height // width)
    left, top = (size[0] - crop_width) // 2, (size[1] - crop_height) // 2
    return left, top, left + crop_width, top + crop_height


def size_of(path: Path) -> tuple[int, int]:
    """Return height and width of a file, from its header."""
    from PIL import Image

    with Image.open(path) as image:
        return image.height, image.width
