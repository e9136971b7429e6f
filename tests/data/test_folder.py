"""A folder of image files is read as Keras reads it, decoded once, and whatever is wrong in it is named at once."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sweep.config.data import DataConfig
from sweep.data import clear_cache, load, load_raw_test
from sweep.data.image_files import ImageFormat, decode
from sweep.errors import DataError
from sweep.testing.data_source import DataSourceContract

SIZES = ((24, 16), (16, 24), (20, 20))
OPTIONS = {"image_size": [12, 16]}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_classes(tmp_path / "photos", {"ant": 12, "bee": 8, "cat": 20})
    return tmp_path / "photos"


def write_classes(folder: Path, counts: dict[str, int], seed: int = 0) -> None:
    generator = np.random.default_rng(seed)
    for label, count in counts.items():
        (folder / label).mkdir(parents=True)
        for index in range(count):
            pixels = generator.integers(0, 256, (*SIZES[index % 3], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{index}{('.jpg', '.png', '.bmp', '.gif')[index % 4]}")


def config(folder: Path, **options: Any) -> DataConfig:
    return DataConfig.model_validate({"name": "folder", "path": str(folder), "options": {**OPTIONS, **options}})


class TestContract(DataSourceContract):
    @pytest.fixture
    def configs(self, photos: Path, tmp_path: Path) -> list[DataConfig]:
        for part, count in (("train", 9), ("val", 4), ("test", 5)):
            write_classes(tmp_path / "parts" / part, {"ant": count, "bee": count}, seed=count)
        return [config(photos), config(tmp_path / "parts", color_mode="grayscale", crop_to_aspect_ratio=True)]


def test_classes_are_subfolders_and_images_stay_bytes(photos: Path) -> None:
    dataset = load(config(photos))
    assert dataset.class_names == ("ant", "bee", "cat")
    assert dataset.images.shape[1:] == (12, 16, 3)
    assert dataset.images.dtype == np.uint8
    assert len(dataset.train) + len(dataset.validation) == 32  # 8 of 40 are the test part
    assert len(load_raw_test(config(photos))[0]) == 8


def test_parts_of_their_own_are_used(tmp_path: Path) -> None:
    for part, count in (("train", 9), ("validation", 4), ("test", 5)):
        write_classes(tmp_path / "parts" / part, {"ant": count, "bee": count}, seed=count)
    dataset = load(config(tmp_path / "parts"))
    assert (len(dataset.train), len(dataset.validation)) == (18, 8)
    assert len(load_raw_test(config(tmp_path / "parts"))[1]) == 10


@pytest.mark.slow
@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize("crop", [False, True])
def test_pixels_are_those_of_keras(photos: Path, color_mode: str, crop: bool) -> None:
    from keras.utils import img_to_array, load_img

    for path in sorted(photos.rglob("*.*"))[:12]:
        options = {"target_size": (12, 16), "interpolation": "bilinear", "keep_aspect_ratio": crop}
        expected = img_to_array(load_img(path, color_mode=color_mode, **options))
        np.testing.assert_array_equal(decode(path, ImageFormat((12, 16), color_mode, crop)), expected)


def test_images_are_decoded_once_and_again_when_a_file_changes(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load(config(photos))
    with monkeypatch.context() as patched:
        patched.setattr("sweep.data.image_cache.decode", lambda *_: pytest.fail("decoded again"))
        clear_cache()
        assert load(config(photos)).content_hash == before.content_hash
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(photos / "cat" / "2.bmp")
    clear_cache()
    assert load(config(photos)).content_hash != before.content_hash


def test_an_edit_that_keeps_size_and_time_is_noticed_while_it_could_be_one(photos: Path) -> None:
    path = photos / "cat" / "2.bmp"
    before, stat = load(config(photos)).content_hash, path.stat()
    content = bytearray(path.read_bytes())
    content[-40] ^= 255
    path.write_bytes(bytes(content))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    clear_cache()
    assert load(config(photos)).content_hash != before


def test_contents_are_not_read_again_while_nothing_changes(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in photos.rglob("*.*"):
        os.utime(path, (time.time() - 60, time.time() - 60))
    before = load(config(photos)).content_hash
    monkeypatch.setattr("sweep.data.image_cache._content", lambda _: pytest.fail("read again"))
    clear_cache()
    assert load(config(photos)).content_hash == before


def test_every_damaged_file_is_named_and_nothing_is_cached(photos: Path, cache: Path) -> None:
    for name in ("ant/0.jpg", "cat/5.png", "bee/2.bmp"):
        content = (photos / name).read_bytes()
        (photos / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError) as error:
        load(config(photos))
    assert all(name in str(error.value) for name in ("ant/0.jpg", "cat/5.png", "bee/2.bmp"))
    assert "SWEEP_CACHE" not in str(error.value)  # which would not help
    assert not [*cache.glob("images-*")]


def test_foreign_files_are_named_and_those_of_file_managers_ignored(photos: Path) -> None:
    (photos / "ant" / ".DS_Store").touch()
    (photos / "ant" / "Thumbs.db").touch()
    load(config(photos))
    (photos / "ant" / "notes.txt").touch()
    (photos / "bee" / "clip.mp4").touch()
    clear_cache()
    with pytest.raises(DataError, match=r"ant/notes\.txt, bee/clip\.mp4"):
        load(config(photos))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"image_size": None}, "image_size"),  # the files have several sizes
        ({"image_size": [0, 4]}, "image_size"),
        ({"image_size": [4]}, "image_size"),
        ({"color_mode": "bgr"}, "color_mode"),
        ({"image_size": None, "crop_to_aspect_ratio": True}, "crop_to_aspect_ratio"),
    ],
)
def test_wrong_options_are_one_line(photos: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(DataError, match=named) as error:
        load(config(photos, **options))
    assert "\n" not in str(error.value)


def test_folders_that_hold_no_classes_are_one_line(photos: Path, tmp_path: Path) -> None:
    (photos / "dog").mkdir()
    with pytest.raises(DataError, match="dog"):
        load(config(photos))
    (tmp_path / "one" / "ant").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "one" / "ant" / "0.png")
    with pytest.raises(DataError, match="subfolder for each class"):
        load(config(tmp_path / "one"))
    with pytest.raises(DataError, match="not a folder"):
        load(config(tmp_path / "none"))


def test_a_cache_that_cannot_be_written_is_one_line_with_the_fix(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="SWEEP_CACHE"):
        load(config(photos))
