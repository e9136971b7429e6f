"""`sweep check` says what is wrong with the data before it costs a sweep: leaks between parts, contradicting labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sweep.cli.parser import main
from sweep.data import clear_cache

SPACE = """
[study]
name = "mine"

[data]
name = "npz"
path = "images.npz"

[model]
filters = [4]

[space.l2]
key = "regularizer.l2"
type = "float"
low = 1e-6
high = 1e-2
"""
IMAGES = np.random.default_rng(0).integers(0, 200, (90, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(90) % 3


def checked(folder: Path, capsys: pytest.CaptureFixture[str], *options: str, **arrays: Any) -> str:
    clear_cache()
    np.savez("images.npz", **arrays)
    assert main(["check", "space.toml", "--samples", "1", *options]) == 0
    return capsys.readouterr().out


def parts(train: Any, validation: Any, test: Any) -> dict[str, Any]:
    """Arrays of rows of the images above."""
    rows = {"train": train, "val": validation, "test": test}
    return {f"x_{part}": IMAGES[one] for part, one in rows.items()} | {
        f"y_{part}": LABELS[one] for part, one in rows.items()
    }


def test_parts_and_pixel_values_are_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = checked(folder, capsys, **parts(range(60), range(60, 75), range(75, 90)))
    assert "60 training, 15 validation and 15 test images" in shown
    assert "uint8 from 0 to 199" in shown
    assert "no image occurs twice" in shown
    assert "warning" not in shown


def test_leaks_and_copies_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train, validation, test = [*range(60), 5, 6, 6], [*range(60, 75), 1, 2], [*range(75, 90), 3, 61, 60, 2]
    shown = checked(folder, capsys, **parts(train, validation, test))
    assert "equal another one: 3" in shown
    assert "validation images that are training images, too: 2" in shown
    assert "test images that are training or validation images, too: 4" in shown
    assert "several labels" not in shown


def test_an_image_with_two_labels_is_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = parts(range(60), range(60, 75), range(75, 90))
    arrays["x_train"][4] = arrays["x_train"][0]  # of classes 1 and 0
    assert "with several labels: 1" in checked(folder, capsys, **arrays)


@pytest.mark.parametrize("kind", ["bytes", "floats", "gray", "five channels"])
def test_the_contact_sheet_shows_images_of_each_class(
    kind: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = np.full((90, 8, 8, 3), 60, np.uint8)
    images[LABELS == 1] = 250
    images = {"bytes": images, "floats": images / 255, "gray": images[..., 0], "five channels": images.repeat(2, 3)}[
        kind
    ]
    checked(
        folder,
        capsys,
        "--contact-sheet",
        "data.png",
        x=images[..., :5] if kind == "five channels" else images,
        y=LABELS,
    )
    sheet = np.asarray(Image.open("data.png"))[:, 200:210].mean(axis=(1, 2))
    first, second, third = sheet[10:60], sheet[90:140], sheet[170:220]
    assert second.mean() > first.mean() + 50
    assert abs(first.mean() - third.mean()) < 5


def test_a_contact_sheet_that_cannot_be_written_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("images.npz", x=IMAGES, y=LABELS)
    assert main(["check", "space.toml", "--contact-sheet", "data.xyz"]) == 2
    assert "data.xyz: must end with" in capsys.readouterr().err
