"""Image files in one subfolder for each class, as Keras's `image_dataset_from_directory` reads them.

    photos/ant/1.jpg   photos/bee/2.png   ...                           split as `[data]` states
    photos/train/ant/1.jpg   photos/val/ant/2.jpg   photos/test/ant/3.jpg   with their own parts

A subfolder's name is the name of its class. Files are decoded once: see `sweep.data.image_cache`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sweep.data.arrays import Arrays
from sweep.data.class_folders import Listing, list_parts
from sweep.data.decoding import COLOR_MODES, ImageFormat, common_size
from sweep.data.image_files import ImageFiles
from sweep.errors import DataError


def load(
    path: str,
    image_size: Sequence[int] | int | None = None,
    color_mode: str = "rgb",
    crop_to_aspect_ratio: bool = False,
) -> Arrays:
    """Return the parts of a folder; their files are decoded when pixels are needed.

    Args:
        path: The folder.
        image_size: Height and width to resize to, or one number for both. Default: the size of the files, if all have
            the same.
        color_mode: "rgb", "rgba" or "grayscale".
        crop_to_aspect_ratio: Whether images are cropped at the center to the aspect ratio of `image_size` instead of
            being distorted.

    Raises:
        DataError: The folder or an option is not usable.
    """
    root, size = Path(path), _size(image_size)
    if color_mode not in COLOR_MODES:
        raise DataError(f"data.options.color_mode must be one of {', '.join(COLOR_MODES)}, got {color_mode!r}")
    if crop_to_aspect_ratio and size is None:
        raise DataError("data.options.crop_to_aspect_ratio has no effect without image_size; add it")
    parts = list_parts(root)
    if size is None:
        size = common_size(root, [root / str(name) for part in parts if part is not None for name in part.names])
    image_format = ImageFormat(size, color_mode, bool(crop_to_aspect_ratio))

    def files(part: Listing) -> ImageFiles:
        return ImageFiles(root, part.names, part.labels, image_format, part.problems)

    train, validation, test = parts
    return Arrays(
        train=files(train),
        validation=None if validation is None else files(validation),
        test=None if test is None else files(test),
    )


def _size(given: Any) -> tuple[int, int] | None:
    if given is None:
        return None
    sides = [given, given] if isinstance(given, int) else given
    if not isinstance(sides, list | tuple) or len(sides) != 2 or not all(type(one) is int and one > 0 for one in sides):
        raise DataError(f"data.options.image_size must be [height, width] in pixels, got {given!r}")
    return sides[0], sides[1]
