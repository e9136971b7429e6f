"""A picture of a few training images of each class."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.dataset import Dataset
from sweep.errors import InputError
from sweep.system.files import replacing

if TYPE_CHECKING:
    from PIL import Image

NUM_COLUMNS, MAX_ROWS = 12, 40
SIDE, GAP, HEADING = 72, 4, 120  # pixels of an image's longer side, between images, of the names of classes
SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_LETTERS = 18  # of a class name


def save_contact_sheet(dataset: Dataset, path: Path) -> None:
    """Write a picture with a row for each class.

    Args:
        dataset: The data.
        path: A file of one of `SUFFIXES`; an existing one is replaced.

    Raises:
        InputError: It cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: must end with {' or '.join(SUFFIXES)}")
    sheet = _sheet(dataset)
    with replacing(path) as unfinished:
        sheet.save(unfinished)


def _sheet(dataset: Dataset) -> "Image.Image":
    from PIL import Image, ImageDraw

    names = dataset.class_names[:MAX_ROWS]
    step = SIDE + GAP
    sheet = Image.new("RGB", (HEADING + NUM_COLUMNS * step, len(names) * step + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for number, name in enumerate(names):
        draw.text(
            (GAP, GAP + number * step), name.encode("latin-1", "replace").decode("latin-1")[:MAX_LETTERS], "black"
        )
        rows = dataset.train[dataset.y_train == number][:NUM_COLUMNS]
        for column, image in enumerate(_tiles(dataset, rows)):
            sheet.paste(image, (HEADING + column * step, GAP + number * step))
    return sheet


def _tiles(dataset: Dataset, rows: NDArray[np.int32]) -> "list[Image.Image]":
    from PIL import Image, ImageOps

    pixels = _as_bytes(dataset.images[rows], dataset.images)
    modes = {1: pixels[..., 0], 2: pixels[..., 0], 3: pixels}
    shown = modes.get(pixels.shape[-1], pixels[..., :3])
    nearest = Image.Resampling.NEAREST if max(pixels.shape[1:3]) < SIDE else Image.Resampling.BILINEAR
    return [ImageOps.contain(Image.fromarray(image), (SIDE, SIDE), nearest) for image in shown]


def _as_bytes(images: NDArray[Any], everything: NDArray[Any]) -> NDArray[np.uint8]:
    """Bytes as they are; other numbers from the smallest to the largest of all images."""
    if images.dtype == np.uint8:
        return images
    low, high = float(everything.min()), float(everything.max())
    return ((images.astype(np.float64) - low) / ((high - low) or 1) * 255).round().astype(np.uint8)
