"""An image file -> pixels, as Keras's `load_img` reads them, without Keras.

Keras must not be imported before the device is set up, and images are read before that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sweep.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "BMP", "GIF")
EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
COLOR_MODES = {"rgb": ("RGB", 3), "rgba": ("RGBA", 4), "grayscale": ("L", 1)}  # Pillow's name, channels
MANY_BITS = ("I", "I;16", "I;16B", "I;16L", "F")  # Pillow's modes of more than 8 bits a channel


@dataclass(frozen=True)
class ImageFormat:
    """How files become arrays.

    Attributes:
        size: Height and width.
        color_mode: A key of `COLOR_MODES`.
        crop: Whether images are cropped to the aspect ratio of `size` first.
    """

    size: tuple[int, int]
    color_mode: str
    crop: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return (*self.size, COLOR_MODES[self.color_mode][1])


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

    with Image.open(path, formats=FORMATS) as image:
        if image.mode in MANY_BITS:
            raise ValueError(f"more than 8 bits a channel (mode {image.mode})")
        converted = image.convert(COLOR_MODES[image_format.color_mode][0])
    return np.asarray(_resized(converted, image_format)).reshape(image_format.shape)


def _resized(image: "Image.Image", image_format: ImageFormat) -> "Image.Image":
    from PIL import Image

    height, width = image_format.size
    if image.size == (width, height):
        return image
    box = _centered(image.size, width, height) if image_format.crop else None
    return image.resize((width, height), Image.Resampling.BILINEAR, box=box)


def _centered(size: tuple[int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """Return the largest box of that aspect ratio at the center of an image of `size` (width, height)."""
    crop_width = min(size[0], size[1] * width // height)
    crop_height = min(size[1], size[0] * height // width)
    left, top = (size[0] - crop_width) // 2, (size[1] - crop_height) // 2
    return left, top, left + crop_width, top + crop_height


def common_size(folder: Path, paths: Iterable[Path]) -> tuple[int, int]:
    """Return the height and width that all images have. Files that cannot be read are not considered.

    Args:
        folder: Where they are, for messages.
        paths: The files.

    Raises:
        DataError: The images have several sizes, or none can be read.
    """
    sizes = [size for size in map(_size, paths) if size is not None]
    if not sizes:
        raise DataError(f"{folder}: none of the files can be read as an image; correct data.path")
    distinct = {*sizes}
    if len(distinct) == 1:
        return sizes[0]
    middle = [median_low(sides) for sides in zip(*sizes, strict=True)]
    raise DataError(
        f"{folder}: images have {len(distinct)} different sizes, from {min(distinct)} to {max(distinct)}; "
        f"set data.options.image_size, for example to {middle}, their median"
    )


def _size(path: Path) -> tuple[int, int] | None:
    """From the header."""
    from PIL import Image

    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.height, image.width
    except Exception:  # it is named when it is decoded
        return None
