"""A folder of image files is read as Keras reads it, decoded once, and whatever is wrong in it is named at once."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sweep.config.data import DataConfig
from sweep.data import clear_cache, load, load_raw_test
from sweep.data.decoding import ImageFormat, decode
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
        patched.setattr("sweep.data.image_files.decode", lambda *_: pytest.fail("decoded again"))
        clear_cache()
        assert load(config(photos)).content_hash == before.content_hash
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(photos / "cat" / "2.bmp")
    clear_cache()
    assert load(config(photos)).content_hash != before.content_hash


def test_an_edit_that_keeps_size_and_time_is_noticed_while_it_could_be_one(photos: Path) -> None:
    before = load(config(photos)).content_hash
    for path in photos.rglob("*.bmp"):
        edit_unseen(path)
    clear_cache()
    assert load(config(photos)).content_hash != before


def test_contents_are_not_read_again_while_nothing_changes(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweep.data.image_cache.FRESH_NS", -(10**12))  # no file is new
    before = load(config(photos)).content_hash
    with monkeypatch.context() as patched:
        patched.setattr("sweep.data.image_cache._digest", lambda _: pytest.fail("read again"))
        clear_cache()
        assert load(config(photos)).content_hash == before
    for path in photos.rglob("*.bmp"):
        edit_unseen(path)
    clear_cache()
    assert load(config(photos)).content_hash != before


def edit_unseen(path: Path) -> None:
    """Change the content, and neither its size nor its time of modification."""
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[-40] ^= 255
    path.write_bytes(bytes(content))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY half"])
def test_a_damaged_cache_is_made_again(damage: bytes, photos: Path, cache: Path) -> None:
    before = load(config(photos)).content_hash
    for file in cache.rglob("*.*"):
        file.unlink()
        file.write_bytes(damage)
    clear_cache()
    assert load(config(photos)).content_hash == before


def test_no_part_of_a_mapped_file_is_copied_into_memory(photos: Path, tmp_path: Path) -> None:
    for part, count in (("train", 9), ("val", 4), ("test", 5)):
        write_classes(tmp_path / "parts" / part, {"ant": count, "bee": count}, seed=count)
    for folder in (photos, tmp_path / "parts"):
        images = load(config(folder)).images
        assert isinstance(images, np.memmap)
        assert not images.flags.owndata


def test_a_class_may_be_called_train(photos: Path) -> None:
    (photos / "ant").rename(photos / "train")
    assert load(config(photos)).class_names == ("bee", "cat", "train")


def test_every_file_that_is_no_image_is_named_and_nothing_is_cached(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "parts"
    for part in ("train", "test"):
        write_classes(folder / part, {"ant": 70, "bee": 9, "cat": 9})
    cut = ("train/ant/0.jpg", "train/cat/5.png", "test/bee/2.bmp")  # one is of the test part
    for name in cut:
        (folder / name).write_bytes((folder / name).read_bytes()[:99])
    (folder / "train/ant/notes.txt").touch()
    (folder / "train/lost.png").touch()
    (folder / "train/README").touch()
    Image.fromarray(np.zeros((20, 20), np.uint16)).save(folder / "train/ant/deep.png")
    strange = ("train/ant/notes.txt", "train/lost.png", "train/ant/deep.png")
    with pytest.raises(DataError) as error:
        load(config(folder))
    assert "6 files" in str(error.value)
    assert all(name in str(error.value) for name in cut + strange)
    assert "SWEEP_CACHE" not in str(error.value)  # which would not help
    assert "README" not in str(error.value)
    assert not [*cache.rglob("*.npy")]


def test_foreign_files_are_named_and_those_of_file_managers_ignored(photos: Path) -> None:
    (photos / "ant" / ".DS_Store").touch()
    (photos / "ant" / "Thumbs.db").touch()
    load(config(photos))
    (photos / "ant" / "notes.txt").touch()
    (photos / "bee" / "clip.mp4").touch()
    clear_cache()
    with pytest.raises(DataError, match=r"ant/notes\.txt.*bee/clip\.mp4"):
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


def test_folders_without_classes_are_one_line(photos: Path, tmp_path: Path) -> None:
    (photos / "dog").mkdir()
    with pytest.raises(DataError, match="dog"):
        load(config(photos))
    (tmp_path / "one" / "ant").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(tmp_path / "one" / "ant" / "0.png")
    with pytest.raises(DataError, match="subfolder for each class"):
        load(config(tmp_path / "one"))
    with pytest.raises(DataError, match="none: not readable as a folder"):
        load(config(tmp_path / "none"))


def test_a_cache_that_cannot_be_written_is_one_line_with_the_fix(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="SWEEP_CACHE"):
        load(config(photos))
