"""Image files in one subfolder for each class, as Keras's `image_dataset_from_directory` reads them.

    photos/ant/1.jpg   photos/bee/2.png   ...                           split as `[data]` states
    photos/train/ant/1.jpg   photos/val/ant/2.jpg   photos/test/ant/3.jpg   with their own parts

A subfolder's name is the name of its class. Files are decoded once: see `sweep.data.image_cache`.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sweep.data.arrays import Arrays, Pair
from sweep.data.image_cache import cached_images
from sweep.data.image_files import COLOR_MODES, ImageFile, ImageFormat, find_images
from sweep.errors import DataError

TRAIN, VALIDATION, TEST = ("train", "training"), ("val", "valid", "validation"), ("test",)  # names of subfolders


def load(
    path: str,
    image_size: Sequence[int] | int | None = None,
    color_mode: str = "rgb",
    crop_to_aspect_ratio: bool = False,
) -> Arrays:
    """Return the parts of a folder; their files are decoded when a part is needed.

    Args:
        path: The folder.
        image_size: Height and width to resize to, or one number for both. Default: the size of the files, if all have
            the same.
        color_mode: "rgb", "rgba" or "grayscale".
        crop_to_aspect_ratio: Whether images are cropped at the center to the aspect ratio of `image_size` instead of
            being distorted.

    Returns:
        Arrays of uint8 images (N, H, W, C) and the names of their classes (N,).

    Raises:
        DataError: The folder or an option is not usable.

    """
    folder, image_format = Path(path), _format(image_size, color_mode, crop_to_aspect_ratio)
    if not folder.is_dir():
        raise DataError(f"{folder}: is not a folder; correct data.path")
    train, validation, test = (_subfolder(folder, names) for names in (TRAIN, VALIDATION, TEST))
    if train is None:
        return Arrays(train=partial(_read, folder, image_format))
    return Arrays(
        train=partial(_read, train, image_format),
        validation=None if validation is None else partial(_read, validation, image_format),
        test=None if test is None else partial(_read, test, image_format),
    )


def _format(image_size: Any, color_mode: str, crop_to_aspect_ratio: bool) -> ImageFormat:
    """Check the options."""
    size = (image_size, image_size) if isinstance(image_size, int) else image_size and tuple(image_size)
    if size is not None and (len(size) != 2 or not all(type(one) is int and one > 0 for one in size)):
        raise DataError(f"data.options.image_size must be [height, width] in pixels, got {image_size!r}")
    if color_mode not in COLOR_MODES:
        raise DataError(f"data.options.color_mode must be one of {', '.join(COLOR_MODES)}, got {color_mode!r}")
    if crop_to_aspect_ratio and size is None:
        raise DataError("data.options.crop_to_aspect_ratio has no effect without image_size; add it")
    return ImageFormat(size, color_mode, crop_to_aspect_ratio)


def _subfolder(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _read(folder: Path, image_format: ImageFormat) -> Pair:
    files: list[ImageFile] = find_images(folder)
    return cached_images(folder, files, image_format), np.array([file.label for file in files], np.str_)
