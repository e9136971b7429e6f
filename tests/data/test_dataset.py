"""Datasets: sizes, splits and scaling as stated, every mistake one line, and the test part out of a sweep's sight."""

import gzip
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sweep.config.data import DataConfig
from sweep.data import Dataset, load, load_raw_test
from sweep.data.idx import FILES as MNIST_FILES
from sweep.data.pool import with_channels
from sweep.errors import DataError

NUM_IMAGES = 60
DIGITS_HASH = "69bc4b0eabaf566fe82bcf2015d450b7b5cbc76b97c2ec44144c7a246a0affc5"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No data of another test, none of the machine's."""
    monkeypatch.delenv("SWEEP_DATA", raising=False)
    load.cache_clear()
    yield
    load.cache_clear()


def images_and_labels(num_images: int = NUM_IMAGES, num_classes: int = 3, seed: int = 0) -> tuple[Any, Any]:
    images = np.random.default_rng(seed).integers(0, 256, (num_images, 4, 5), dtype=np.uint8)
    return images, np.arange(num_images, dtype=np.uint8) % num_classes


def idx_bytes(array: Any) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder: Path, part: str, arrays: tuple[Any, Any], zipped: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(MNIST_FILES[part], arrays, strict=True):
        raw = idx_bytes(array)
        (folder / (f"{name}.gz" if zipped else name)).write_bytes(gzip.compress(raw) if zipped else raw)


def write_npz(folder: Path, scaling: str = "unit", **arrays: Any) -> DataConfig:
    np.savez(folder / "images.npz", **arrays)
    return DataConfig(name="npz", path=str(folder / "images.npz"), scaling=scaling)


def rows(images: Any) -> set[bytes]:
    return {image.tobytes() for image in images}


# ---- digits and splits ----


def scaled_test(config: DataConfig) -> tuple[Any, Any]:
    """The test part as a model in training would see it."""
    images, labels = load_raw_test(config)
    return load(config).scaling(with_channels(images)), labels


def test_digits_are_split_in_three_disjoint_stratified_parts() -> None:
    dataset = load(DataConfig())
    x_test, y_test = scaled_test(DataConfig())
    assert (len(dataset.y_train), len(dataset.y_validation), len(y_test)) == (1149, 288, 360)
    assert dataset.image_shape == (8, 8, 1)
    assert dataset.num_classes == 10
    assert {array.dtype for array in (dataset.x_train, dataset.x_validation, x_test)} == {np.dtype(np.float32)}
    assert {array.dtype for array in (dataset.y_train, dataset.y_validation, y_test)} == {np.dtype(np.int32)}
    everything = (load_digits().images / 16).astype(np.float32)[..., None]
    parts = [rows(dataset.x_train), rows(dataset.x_validation), rows(x_test)]
    assert set.union(*parts) == rows(everything)
    assert sum(map(len, parts)) == len(rows(everything))
    shares = np.bincount(load_digits().target) / 1797
    for labels in (dataset.y_train, dataset.y_validation, y_test):
        assert np.abs(np.bincount(labels) - shares * len(labels)).max() < 1.5


def same_parts(first: Dataset, second: Dataset) -> bool:
    return all(
        np.array_equal(getattr(first, name), getattr(second, name)) for name in ("x_train", "y_train", "x_validation")
    )


def test_the_split_seed_decides_train_and_validation_and_never_the_test_part() -> None:
    first = load(DataConfig())
    load.cache_clear()
    assert same_parts(first, load(DataConfig()))
    other = load(DataConfig(split_seed=1))
    assert not same_parts(first, other)
    assert first.content_hash == other.content_hash
    assert np.array_equal(load_raw_test(DataConfig())[0], load_raw_test(DataConfig(split_seed=1))[0])


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({"num_train": 200}, (200, 288)),
        ({"num_validation": 100}, (1337, 100)),
        ({"num_train": 100, "num_validation": 50}, (100, 50)),
        ({"num_train": 1149}, (1149, 288)),
        ({"validation_split": 0.5}, (718, 719)),
        ({"test_fraction": 0.5}, (718, 180)),
    ],
)
def test_sizes_can_be_asked_for(options: dict[str, Any], sizes: tuple[int, int]) -> None:
    dataset = load(DataConfig(**options))
    assert (len(dataset.y_train), len(dataset.y_validation)) == sizes
    assert not rows(dataset.x_train) & rows(dataset.x_validation)
    assert np.bincount(dataset.y_train, minlength=10).min() > 0.8 * sizes[0] / 10


@pytest.mark.parametrize("options", [{"num_train": 5000}, {"num_validation": 1437}, {"num_validation": 3}])
def test_sizes_that_do_not_fit_are_said_in_one_line(options: dict[str, int]) -> None:
    key, number = next(iter(options.items()))
    with pytest.raises(DataError, match=rf"^data.{key} = {number} does not fit \d+ images: ") as caught:
        load(DataConfig(**options))
    assert "\n" not in str(caught.value)


# ---- scaling ----


def test_unit_scaling_divides_bytes_by_255(tmp_path: Path) -> None:
    images, labels = images_and_labels()
    images[0, 0, 0] = 255
    dataset = load(write_npz(tmp_path, x_train=images // 2, y_train=labels, x_test=images, y_test=labels))
    assert dataset.x_train.max() == np.float32(127 / 255)


def test_standard_scaling_is_fitted_on_the_train_part_alone() -> None:
    config = DataConfig(scaling="standard")
    dataset, raw = load(config), load(DataConfig())
    x_train = raw.x_train.astype(np.float64) * 16
    mean, deviation = x_train.mean(axis=0), x_train.std(axis=0)
    deviation[deviation == 0] = 1
    for scaled, plain in ((dataset.x_train, raw.x_train), (dataset.x_validation, raw.x_validation)):
        np.testing.assert_allclose(scaled, (plain * 16.0 - mean) / deviation, atol=1e-4)
    x_test, x_test_raw = scaled_test(config)[0], scaled_test(DataConfig())[0]
    np.testing.assert_allclose(x_test, (x_test_raw * 16.0 - mean) / deviation, atol=1e-4)


# ---- content hash ----


def test_validation_can_be_the_test_part_and_nothing_is_then_split_off() -> None:
    config = DataConfig(validation="test", scaling="standard")
    dataset, (x_test, y_test) = load(config), scaled_test(config)
    np.testing.assert_array_equal(dataset.x_validation, x_test)
    np.testing.assert_array_equal(dataset.y_validation, y_test)
    split = load(DataConfig())
    assert len(dataset.y_train) == len(split.y_train) + len(split.y_validation)
    assert dataset.content_hash == split.content_hash


def test_the_content_hash_follows_the_data(tmp_path: Path) -> None:
    images, labels = images_and_labels()
    hashes = []
    for changed_images, changed_labels in (
        (images, labels),
        (np.where(np.arange(NUM_IMAGES)[:, None, None] == 7, images ^ 1, images), labels),
        (images, np.roll(labels, 1)),
        (images.astype(np.float32), labels),
        (images.reshape(NUM_IMAGES, 5, 4), labels),
    ):
        test = {"x_test": images, "y_test": labels}
        config = write_npz(tmp_path, x_train=changed_images, y_train=changed_labels, **test)
        load.cache_clear()
        hashes.append(load(config).content_hash)
    assert len(set(hashes)) == len(hashes)


# ---- the test part ----


def test_a_sweep_does_not_read_the_test_files_of_mnist(tmp_path: Path) -> None:
    write_idx(tmp_path, "train", images_and_labels())
    config = DataConfig(name="mnist", path=str(tmp_path))
    absent = load(config)
    for name in MNIST_FILES["test"]:
        (tmp_path / name).write_bytes(b"damaged")
    load.cache_clear()
    assert same_parts(absent, load(config))
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte: damaged or not an IDX file"):
        load_raw_test(config)


def test_a_sweep_does_not_read_the_test_arrays_of_an_npz(tmp_path: Path) -> None:
    """Object arrays refuse to load: that the file loads shows that they were not read."""
    images, labels = images_and_labels()
    unreadable = np.array([{}], dtype=object)
    config = write_npz(tmp_path, x_train=images, y_train=labels, x_test=unreadable, y_test=unreadable)
    assert len(load(config).y_train) == 48
    with pytest.raises(DataError, match="x_test or y_test is not a plain array"):
        load_raw_test(config)


# ---- where images come from ----


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("place", ["path", "path to the folder above", "SWEEP_DATA"])
def test_idx_files_are_found_plain_and_gzipped(
    zipped: bool, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = images_and_labels()
    folder = tmp_path / "mnist"
    write_idx(folder, "train", (images, labels), zipped)
    write_idx(folder, "test", (images[:9], labels[:9]), zipped)
    if place == "SWEEP_DATA":
        monkeypatch.setenv("SWEEP_DATA", str(tmp_path))
    path = {"path": str(folder), "path to the folder above": str(tmp_path), "SWEEP_DATA": None}[place]
    config = DataConfig(name="mnist", path=path)
    dataset = load(config)
    assert (len(dataset.y_train), len(dataset.y_validation), dataset.image_shape) == (48, 12, (4, 5, 1))
    assert rows(dataset.x_train) | rows(dataset.x_validation) == rows((images / 255).astype(np.float32))
    x_test, y_test = scaled_test(config)
    np.testing.assert_array_equal(x_test[..., 0], (images[:9] / 255).astype(np.float32))
    np.testing.assert_array_equal(y_test, labels[:9])


def test_mnist_npz_is_found_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = images_and_labels()
    (tmp_path / "mnist").mkdir()
    np.savez(tmp_path / "mnist" / "mnist.npz", x_train=images, y_train=labels, x_test=images[:9], y_test=labels[:9])
    monkeypatch.setenv("SWEEP_DATA", str(tmp_path))
    assert len(load(DataConfig(name="mnist")).y_train) == 48
    assert len(load_raw_test(DataConfig(name="mnist"))[1]) == 9


def test_an_npz_without_a_test_part_gets_a_stratified_fifth(tmp_path: Path) -> None:
    images, labels = images_and_labels()
    config = write_npz(tmp_path, x=images, y=labels)
    dataset, (x_test, y_test) = load(config), scaled_test(config)
    assert (len(dataset.y_train), len(dataset.y_validation)) == (38, 10)
    assert list(np.bincount(y_test)) == [4, 4, 4]
    assert not rows(x_test) & (rows(dataset.x_train) | rows(dataset.x_validation))


def test_colour_images_and_wide_labels_are_taken(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(60, 4, 5, 3))
    dataset = load(write_npz(tmp_path, x=images, y=np.arange(60, dtype=np.int64) % 3))
    assert dataset.image_shape == (4, 5, 3)
    assert np.abs(dataset.x_train).max() == 1
    assert dataset.y_train.dtype == np.int32


# ---- classes ----

IMAGES, LABELS = images_and_labels()
FORMS: dict[str, tuple[Any, tuple[str, ...]]] = {  # of LABELS, which are 0, 1, 2
    "numbers": (LABELS, ("0", "1", "2")),
    "numbers from 1": (LABELS + 1, ("1", "2", "3")),
    "numbers with gaps": (np.array([3, 7, 200])[LABELS], ("3", "7", "200")),
    "numbers below 0": (LABELS.astype(int) - 1, ("-1", "0", "1")),
    "floats": (LABELS.astype(np.float32), ("0", "1", "2")),
    "a column": (LABELS[:, None], ("0", "1", "2")),
    "one-hot": (np.eye(3, dtype=np.float32)[LABELS], ("0", "1", "2")),
    "one-hot with a class that never occurs": (np.eye(5, dtype=int)[LABELS + 1], ("1", "2", "3")),
    "text": (np.array(["ant", "bee", "cat"])[LABELS], ("ant", "bee", "cat")),
    "bytes": (np.array([b"ant", "bär".encode(), b"cat"])[LABELS], ("ant", "bär", "cat")),
    "a column of text": (np.array(["ant", "bee", "cat"])[LABELS][:, None], ("ant", "bee", "cat")),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("has_test_part", [True, False])
def test_labels_of_each_form_are_the_same_classes_with_their_names(
    form: str, has_test_part: bool, tmp_path: Path
) -> None:
    labels, names = FORMS[form]
    reference = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS}
    given = {**reference, "y_train": labels, "y_test": labels}
    if not has_test_part:
        reference, given = {"x": IMAGES, "y": LABELS}, {"x": IMAGES, "y": labels}
    (tmp_path / "reference").mkdir()
    plain, config = write_npz(tmp_path / "reference", **reference), write_npz(tmp_path, **given)
    dataset = load(config)
    assert dataset.class_names == names
    assert dataset.num_classes == 3
    np.testing.assert_array_equal(dataset.y_train, load(plain).y_train)
    np.testing.assert_array_equal(load_raw_test(config)[1], load_raw_test(plain)[1])
    assert dataset.y_train.dtype == np.int32


def test_names_in_bytes_that_are_no_text_stay_apart(tmp_path: Path) -> None:
    names = load(write_npz(tmp_path, x=IMAGES, y=np.array([b"\xff", b"\xfe", b"a"])[LABELS])).class_names
    assert len(names) == 3


def test_booleans_are_two_classes(tmp_path: Path) -> None:
    dataset = load(write_npz(tmp_path, x=IMAGES, y=LABELS > 0))
    assert dataset.class_names == ("False", "True")
    assert np.bincount(dataset.y_train)[1] > np.bincount(dataset.y_train)[0]


@pytest.mark.parametrize(
    ("labels", "test_labels", "pattern"),
    [
        (LABELS, LABELS + 1, "test labels contain 3, "),
        (LABELS.astype(str), np.where(LABELS > 1, "dog", "0"), "test labels contain dog, "),
        (LABELS, LABELS.astype(str), "test labels are text, the training labels are numbers"),
    ],
)
def test_a_test_label_that_is_none_of_the_classes_is_one_line(
    labels: Any, test_labels: Any, pattern: str, tmp_path: Path
) -> None:
    config = write_npz(tmp_path, x_train=IMAGES, y_train=labels, x_test=IMAGES, y_test=test_labels)
    assert len(load(config).y_train) == 48
    with pytest.raises(DataError, match=pattern):
        load_raw_test(config)


@pytest.mark.parametrize("labels", [np.array([3, 7, 200])[LABELS], LABELS + 1])
def test_labels_with_gaps_can_be_cross_validated(labels: Any, tmp_path: Path) -> None:
    file = write_npz(tmp_path, x_train=IMAGES, y_train=labels, x_test=IMAGES, y_test=labels)
    dataset = load(DataConfig(name="npz", path=file.path, num_folds=3, fold=1))
    assert list(np.bincount(dataset.y_validation)) == [7, 7, 6]


@pytest.mark.parametrize(("least", "fix"), [(4, "at most 4 folds"), (1, "add images of it, or remove")])
def test_advice_on_folds_names_the_rarest_class_and_can_be_followed(least: int, fix: str, tmp_path: Path) -> None:
    labels = np.where(np.arange(60) < least, "rare", "usual")
    file = write_npz(tmp_path, x_train=IMAGES, y_train=labels, x_test=IMAGES, y_test=labels)
    with pytest.raises(DataError, match=f"5 folds .* class rare has {least} .*{fix}"):
        load(DataConfig(name="npz", path=file.path, num_folds=5, fold=1))
    if least > 1:
        assert len(load(DataConfig(name="npz", path=file.path, num_folds=least, fold=1)).y_validation) == 15


def test_the_content_hash_of_what_was_always_read_is_what_it_was(tmp_path: Path) -> None:
    """Or every study of before would be refused."""
    assert load(DataConfig()).content_hash == DIGITS_HASH
    of_classes = load(write_npz(tmp_path, x=IMAGES, y=np.array([3, 7, 200])[LABELS])).content_hash
    load.cache_clear()
    assert "." in of_classes  # classes were counted up to the largest label: other models
    assert of_classes != load(write_npz(tmp_path, x=IMAGES, y=np.array([3, 7, 201])[LABELS])).content_hash


# ---- a validation part that the file brings ----


@pytest.mark.parametrize("end", ["val", "valid", "validation"])
@pytest.mark.parametrize("has_test_part", [True, False])
def test_a_validation_part_of_the_file_is_used(end: str, has_test_part: bool, tmp_path: Path) -> None:
    more, more_labels = images_and_labels(20, seed=1)
    file = {"x_train": IMAGES, "y_train": LABELS, f"x_{end}": more, f"y_{end}": more_labels}
    file |= {"x_test": IMAGES[:9], "y_test": LABELS[:9]} if has_test_part else {}
    config = write_npz(tmp_path, **file)
    dataset = load(config)
    np.testing.assert_array_equal(dataset.x_validation[..., 0], (more / 255).astype(np.float32))
    np.testing.assert_array_equal(dataset.y_validation, more_labels)
    assert len(dataset.y_train) == (60 if has_test_part else 48)
    assert len(load_raw_test(config)[1]) == (9 if has_test_part else 12)


def test_what_is_not_test_is_trained_on_or_folded_with_the_files_validation_part(tmp_path: Path) -> None:
    more, more_labels = images_and_labels(30, seed=1)
    test = {"x_test": IMAGES[:9], "y_test": LABELS[:9]}
    path = write_npz(tmp_path, x_train=IMAGES, y_train=LABELS, x_val=more, y_val=more_labels, **test).path
    everything = rows((np.concatenate([IMAGES, more]) / 255).astype(np.float32)[..., None])
    both = load(DataConfig(name="npz", path=path, train_on="train+validation"))
    assert (rows(both.x_train), len(both.y_validation)) == (everything, 0)
    folds = [load(DataConfig(name="npz", path=path, num_folds=3, fold=fold)) for fold in (1, 2, 3)]
    assert [len(fold.y_validation) for fold in folds] == [30, 30, 30]
    assert set.union(*(rows(fold.x_validation) for fold in folds)) == everything
    few = load(DataConfig(name="npz", path=path, num_train=30))
    assert (len(few.y_train), len(few.y_validation)) == (30, 30)
    assert rows(few.x_train) < rows((IMAGES / 255).astype(np.float32)[..., None])


@pytest.mark.parametrize("options", [{"num_validation": 12}, {"validation_split": 0.3}])
def test_a_size_of_the_validation_part_beside_one_of_the_file_is_refused(
    options: dict[str, Any], tmp_path: Path
) -> None:
    path = write_npz(tmp_path, x=IMAGES, y=LABELS, x_val=IMAGES, y_val=LABELS).path
    with pytest.raises(DataError, match=f"data.{next(iter(options))} has no effect: .*images.npz"):
        load(DataConfig(name="npz", path=path, **options))


def test_the_content_hash_follows_the_files_validation_part(tmp_path: Path) -> None:
    test = {"x_test": IMAGES[:9], "y_test": LABELS[:9]}
    hashes = []
    for more in ({}, {"x_val": IMAGES[:9], "y_val": LABELS[:9]}, {"x_val": IMAGES[:8], "y_val": LABELS[:8]}):
        load.cache_clear()
        hashes.append(load(write_npz(tmp_path, x_train=IMAGES, y_train=LABELS, **test, **more)).content_hash)
    assert len(set(hashes)) == 3
    assert all(one.startswith(f"{hashes[0]}.") for one in hashes[1:])  # which lets a resume say what changed


def test_a_file_of_medmnist_is_read_as_it_comes(tmp_path: Path) -> None:
    more, more_labels = images_and_labels(20, seed=1)
    parts = {"train": (IMAGES, LABELS), "val": (more, more_labels), "test": (IMAGES[:9], LABELS[:9])}
    file = {f"{part}_images": images for part, (images, _) in parts.items()}
    file |= {f"{part}_labels": labels[:, None] for part, (_, labels) in parts.items()}
    config = write_npz(tmp_path, **file)
    dataset = load(config)
    assert (len(dataset.y_train), len(dataset.y_validation), len(load_raw_test(config)[1])) == (60, 20, 9)
    np.testing.assert_array_equal(dataset.y_validation, more_labels)


def test_arrays_of_any_names_are_named_by_options(tmp_path: Path) -> None:
    more, more_labels = images_and_labels(20, seed=1)
    path = write_npz(tmp_path, faces=IMAGES, who=LABELS, other=more, others=more_labels, x=more, y=more_labels).path
    options = {"x": "faces", "y": "who", "x_test": "other", "y_test": "others"}
    config = DataConfig(name="npz", path=path, options=options)
    assert len(load(config).labels) == 60
    np.testing.assert_array_equal(load_raw_test(config)[0], more)
    for wrong, message in (({"x": "faces"}, "options.y is missing"), ({"x": "faces", "y": "no"}, "contains no 'no'")):
        with pytest.raises(DataError, match=message):
            load(DataConfig(name="npz", path=path, options=wrong))


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "other names": (
        {"images": IMAGES, "labels": LABELS},
        r"images.npz: contains \['images', 'labels'\]; .*arrays x, y or",
    ),
    "pickled images": ({"x": np.array([{}] * 60), "y": LABELS}, "images.npz: x or y is not a plain array"),
    "pickled labels": ({"x": IMAGES, "y": np.array([None] * 60)}, "images.npz: x or y is not a plain array"),
    "other lengths": ({"x": IMAGES, "y": LABELS[:9]}, "images.npz: x of shape .60, 4, 5. and y of shape .9,. do not"),
    "scalars": ({"x": np.array(3), "y": np.array(3)}, r"images.npz: x of shape \(\) and y of shape \(\) do not match"),
    "flat images": ({"x": IMAGES.reshape(60, 20), "y": LABELS}, r"images have shape \(\d+, 20\)"),
    "text as images": ({"x": IMAGES.astype(str), "y": LABELS}, "images have .*numbers of shape"),
    "complex images": ({"x": IMAGES * 1j, "y": LABELS}, "images have .*numbers of shape"),
    "NaN": ({"x": np.where(IMAGES > 99, np.nan, 1.0), "y": LABELS}, "images contain NaN or infinity"),
    "fractions as labels": ({"x": IMAGES, "y": LABELS / 2}, r"images.npz: y: labels are fractions such as 0\.5"),
    "NaN as a label": ({"x": IMAGES, "y": np.where(LABELS > 0, np.nan, 1.0)}, "images.npz: y: labels .* nan"),
    "labels beyond whole floats": ({"x": IMAGES, "y": LABELS * 1e300}, "images.npz: y: labels are as large as 1e.300"),
    "labels beyond int64": (
        {"x": IMAGES, "y": LABELS.astype(np.uint64) + np.uint64(2**63)},
        "images.npz: y: labels are as large as 9.2",
    ),
    "values beyond float32": ({"x": IMAGES * 1e300, "y": LABELS, "scaling": "none"}, "overflow float64 or float32"),
    "deviations beyond float64": ({"x": IMAGES * 1e300, "y": LABELS, "scaling": "standard"}, "overflow float64"),
    "differences beyond float16": (
        {"x": np.where(IMAGES > 240, -6e4, 6e4).astype(np.float16), "y": LABELS, "scaling": "standard"},
        "overflow float16",
    ),
    "soft labels": ({"x": IMAGES, "y": np.full((60, 3), 0.4)}, r"images.npz: y: labels have shape \(60, 3\).*one-hot"),
    "two ones in a row": ({"x": IMAGES, "y": np.ones((60, 2), int)}, "images.npz: y: .*one-hot"),
    "cubes as labels": ({"x": IMAGES, "y": np.ones((60, 2, 2))}, r"images.npz: y: labels have shape \(60, 2, 2\)"),
    "control characters": ({"x": IMAGES, "y": np.array(["a", "\x1b[2J"] * 30)}, "label .*control characters"),
    "one class": ({"x": IMAGES, "y": LABELS * 0 + 7}, "all labels are 7; .* two classes"),
    "a lonely class": ({"x": IMAGES, "y": np.where(np.arange(60) == 3, 9, 0)}, "class 9 has 1 image"),
    "all classes lonely": ({"x": IMAGES, "y": np.arange(60)}, "class 0 has 1 image"),
    "images without labels": ({"x": IMAGES, "y": LABELS, "x_val": IMAGES}, "images.npz: y_val is missing"),
    "a part twice": (
        {"x": IMAGES, "y": LABELS, "x_val": IMAGES, "y_val": LABELS, "x_valid": IMAGES, "y_valid": LABELS},
        "images.npz: contains x_val and x_valid; remove one",
    ),
    "validation images of another shape": (
        {"x": IMAGES, "y": LABELS, "x_val": IMAGES[:, :3], "y_val": LABELS},
        r"images.npz: validation images are uint8 of shape \(3, 5\), those to train on .* \(4, 5\)",
    ),
    "validation images of another range": (
        {"x": IMAGES / 1, "y": LABELS, "x_val": IMAGES / 255, "y_val": LABELS},
        r"images.npz: validation images are .* to 1;.* to 255",
    ),
    "validation images of another kind": (
        {"x": IMAGES, "y": LABELS, "x_val": IMAGES / 255, "y_val": LABELS},
        "images.npz: validation images are float64 .*, those to train on uint8",
    ),
    "images without height": ({"x": IMAGES[:, :0], "y": LABELS}, r"images have shape \(\d+, 0, 5"),
    "no images": ({"x": IMAGES[:0], "y": LABELS[:0]}, "data.test_fraction = 0.2 does not fit 0 images"),
    "no train images": (
        {"x_train": IMAGES[:0], "y_train": LABELS[:0], "x_test": IMAGES, "y_test": LABELS},
        r"images have shape \(0, 4, 5",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_npz_is_one_line(mistake: str, tmp_path: Path) -> None:
    arrays, pattern = MISTAKES[mistake]
    with pytest.raises(DataError, match=pattern) as caught:
        load(write_npz(tmp_path, **arrays))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"no zip", b"PK\x03\x04 half a zip", b"\x93NUMPY as np.save"])
def test_an_unreadable_npz_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "images.npz"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=r"images.npz: not readable as .npz .*correct data.path") as caught:
        load(DataConfig(name="npz", path=str(file)))
    assert "\n" not in str(caught.value)


def damaged(raw: bytes) -> dict[str, bytes]:
    zipped = gzip.compress(raw, mtime=0)
    return {
        "empty": b"",
        "cut": raw[:-1],
        "too long": raw + b"\0",
        "other kind": b"\0\0\x0d" + raw[3:],
        "header only": raw[:6],
        "no gzip.gz": raw,
        "cut.gz": zipped[: len(zipped) // 2],
        "flipped.gz": zipped[:20] + bytes(255 - byte for byte in zipped[20:60]) + zipped[60:],
    }


@pytest.mark.parametrize("damage", damaged(b"x" * 99))
def test_a_damaged_idx_file_is_one_line(damage: str, tmp_path: Path) -> None:
    images, labels = images_and_labels()
    write_idx(tmp_path, "train", (images, labels))
    name = MNIST_FILES["train"][0]
    (tmp_path / name).unlink()
    file = f"{name}.gz" if damage.endswith(".gz") else name
    (tmp_path / file).write_bytes(damaged(idx_bytes(images))[damage])
    with pytest.raises(DataError, match=f"{file}: damaged or not an IDX file .*download it again") as caught:
        load(DataConfig(name="mnist", path=str(tmp_path)))
    assert "\n" not in str(caught.value)


def test_incomplete_mnist_is_one_line_naming_the_file(tmp_path: Path) -> None:
    images, labels = images_and_labels()
    write_idx(tmp_path, "train", (images, labels[:9]))
    config = DataConfig(name="mnist", path=str(tmp_path))
    with pytest.raises(DataError, match="60 train images but 9 labels"):
        load(config)
    (tmp_path / MNIST_FILES["train"][1]).unlink()
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte \(plain or .gz\) is missing"):
        load(config)


def without_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_CACHE", str(folder / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(folder / "keras"))
    monkeypatch.setattr("sweep.data.published.SAVE", "raise OSError('no network')")


@pytest.mark.parametrize("by_path", [True, False])
def test_a_folder_without_mnist_names_the_places_looked_at(
    by_path: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWEEP_DATA", str(tmp_path))
    without_network(tmp_path, monkeypatch)
    config = DataConfig(name="mnist", path=str(tmp_path) if by_path else None)
    with pytest.raises(DataError, match=f"{tmp_path}/mnist.*correct data.path or SWEEP_DATA"):
        load(config)


def test_the_real_mnist(mnist_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_DATA", str(mnist_folder))
    config = DataConfig(name="mnist", num_train=10000, num_validation=10000)
    dataset = load(config)
    assert (dataset.x_train.shape, dataset.x_validation.shape) == ((10000, 28, 28, 1), (10000, 28, 28, 1))
    assert (dataset.x_train.min(), dataset.x_train.max(), dataset.num_classes) == (0, 1, 10)
    assert round(float(dataset.x_train.mean()), 2) == 0.13
    assert len(load_raw_test(config)[1]) == 10000
