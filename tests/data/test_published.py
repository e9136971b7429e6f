"""Published data sets are found where they lie, in each form they are published in, and read alike."""

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.config.data import DataConfig
from sweep.data import clear_cache, load, load_raw_test
from sweep.errors import DataError

GENERATOR = np.random.default_rng(0)
SIZES = {"data_batch_1": 14, "data_batch_2": 14, "data_batch_3": 14, "data_batch_4": 14, "data_batch_5": 14}
FILES = {"cifar10": {**SIZES, "test_batch": 10}, "cifar100": {"train": 70, "test": 10}}
PIXELS = {name: GENERATOR.integers(0, 256, (size, 3072), dtype=np.uint8) for name, size in {**SIZES, "x": 70}.items()}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SWEEP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr("sweep.data.published.SAVE", "raise OSError('no network')")
    (tmp_path / "data").mkdir()
    clear_cache()
    return tmp_path / "data"


def batch(file: str, size: int) -> tuple[Any, Any]:
    """Pixels (N, 3072) and labels, the same for every form."""
    return PIXELS.get(file, PIXELS["x"])[:size], np.arange(size, dtype=np.uint8) % 7


def python_form(name: str) -> dict[str, bytes]:
    """As Python 2 pickled them."""
    key, files = (b"labels" if name == "cifar10" else b"fine_labels"), {}
    for file, size in FILES[name].items():
        pixels, labels = batch(file, size)
        raw = pickle.dumps({b"data": pixels, key: labels.tolist()}, protocol=2)
        files[file] = raw.replace(b"numpy._core", b"numpy.core")
    return files


def binary_form(name: str) -> dict[str, bytes]:
    files = {}
    for file, size in FILES[name].items():
        pixels, labels = batch(file, size)
        columns = [labels[:, None]] if name == "cifar10" else [labels[:, None] // 2, labels[:, None]]
        files[f"{file}.bin"] = np.hstack([*columns, pixels]).tobytes()
    return files


FORMS: dict[str, Callable[[str], dict[str, bytes]]] = {"python": python_form, "binary": binary_form}
FOLDERS = {
    ("cifar10", "python"): "cifar-10-batches-py",
    ("cifar10", "binary"): "cifar-10-batches-bin",
    ("cifar100", "python"): "cifar-100-python",
    ("cifar100", "binary"): "cifar-100-binary",
}


def write(place: Path, name: str, form: str, is_archive: bool) -> Path:
    files, folder = FORMS[form](name), FOLDERS[name, form]
    place.mkdir(parents=True, exist_ok=True)
    if not is_archive:
        (place / folder).mkdir()
        for file, content in files.items():
            (place / folder / file).write_bytes(content)
        return place / folder
    path = place / f"{name.replace('cifar', 'cifar-')}-{form}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file, content in files.items():
            entry = tarfile.TarInfo(f"{folder}/{file}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize("is_archive", [True, False])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FILES)
def test_cifar_is_read_in_every_form(name: str, form: str, is_archive: bool, data: Path) -> None:
    write(data / name if is_archive else data, name, form, is_archive)
    config = DataConfig(name=name)
    dataset = load(config)
    pixels, labels = zip(*(batch(file, size) for file, size in [*FILES[name].items()][:-1]), strict=True)
    images = np.concatenate(pixels).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(dataset.images, images)
    np.testing.assert_array_equal(dataset.labels, np.concatenate(labels))
    assert dataset.class_names[:2] == (("airplane", "automobile") if name == "cifar10" else ("apple", "aquarium_fish"))
    assert len(load_raw_test(config)[1]) == 10


def test_a_pickle_that_would_run_code_is_refused(data: Path, tmp_path: Path) -> None:
    folder = write(data, "cifar100", "python", is_archive=False)

    class Attack:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    (folder / "train").write_bytes(pickle.dumps({b"data": Attack()}, protocol=2))
    with pytest.raises(DataError, match="cifar-100-python: damaged or incomplete"):
        load(DataConfig(name="cifar100"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("is_archive", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_damaged_cifar_is_one_line(form: str, is_archive: bool, data: Path) -> None:
    place = write(data, "cifar100", form, is_archive)
    file = place if is_archive else next(place.glob("train*"))
    file.write_bytes(file.read_bytes()[:-999])
    with pytest.raises(DataError, match="damaged or incomplete") as caught:
        load(DataConfig(name="cifar100"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_without_files_and_network_there_is_one_line(name: str, data: Path) -> None:
    with pytest.raises(DataError, match=f"{name}: .*{data}.*no network") as caught:
        load(DataConfig(name=name))
    assert "\n" not in str(caught.value)


def test_what_keras_downloads_is_kept(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = "import sys, numpy; numpy.savez(sys.argv[2], x_train=numpy.zeros((40, 4, 4)), y_train=[0, 1] * 20)"
    monkeypatch.setattr("sweep.data.published.SAVE", save)
    assert load(DataConfig(name="fashion_mnist")).class_names == ("T-shirt/top", "Trouser")
    monkeypatch.setattr("sweep.data.published.SAVE", "raise OSError('no network')")
    clear_cache()
    assert len(load(DataConfig(name="fashion_mnist")).labels) == 32


def test_mnist_is_not_taken_for_fashion_mnist(mnist_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their files have the same names."""
    monkeypatch.setenv("SWEEP_DATA", str(mnist_folder / "mnist"))
    assert len(load(DataConfig(name="mnist")).labels) == 60000
    with pytest.raises(DataError, match="fashion_mnist"):
        load(DataConfig(name="fashion_mnist"))


def test_the_real_fashion_mnist(mnist_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_DATA", str(mnist_folder))
    if not (mnist_folder / "fashion_mnist").is_dir():
        pytest.skip("SWEEP_DATA has no fashion_mnist/")
    dataset = load(DataConfig(name="fashion_mnist"))
    assert dataset.images.shape == (60000, 28, 28, 1)
    assert dataset.class_names[-1] == "Ankle boot"
