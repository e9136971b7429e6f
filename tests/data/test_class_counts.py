"""Classes are counted, and a sweep that found nothing better than one answer for all images says so."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from sweep.cli.parser import main
from sweep.config.data import DataConfig
from sweep.config.study_settings import SETTINGS
from sweep.data import class_counts, load
from sweep.storage import STUDY_ID, WriteBehindStorage, database_url

SPACE = """
[study]
name = "mine"
num_trials = 3
{study}

[data]
name = "npz"
path = "images.npz"

[space.l2]
key = "regularizer.l2"
type = "float"
low = 1e-6
high = 1e-2
"""
RUN = ("run", "space.toml", "--engine", "fake", "--quiet")


@pytest.fixture
def imbalanced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with 200 images of which 190 are ants."""
    monkeypatch.chdir(tmp_path)
    write(np.where(np.arange(200) < 10, "bee", "ant"))
    write_space()
    return tmp_path


def write(labels: Any, **more: Any) -> None:
    load.cache_clear()
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8), dtype=np.uint8)
    np.savez("images.npz", x_train=images, y_train=labels, x_test=images, y_test=labels, **more)


def write_space(study: str = "") -> None:
    Path("space.toml").write_text(SPACE.format(study=study))


def test_check_counts_the_classes_and_says_what_one_answer_scores(
    imbalanced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "space.toml", "--samples", "1"]) == 0
    shown = capsys.readouterr().out
    assert "2 classes" in shown
    assert "ant 152 + 38, bee 8 + 2" in shown
    assert "always predicting ant gives val_accuracy 0.9500" in shown


@pytest.mark.parametrize("command", [["check", "space.toml", "--samples", "1"], [*RUN[:-1]]])
def test_a_part_without_images_of_a_class_is_said(
    command: list[str], imbalanced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = np.full((4, 8, 8), 200, np.uint8)
    write(np.where(np.arange(200) < 10, "bee", "ant"), x_val=images, y_val=np.array(["ant", "ant", "cat", "cat"]))
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "train part has no image of cat" in shown
    assert "validation part has no image of bee" in shown


def test_many_classes_take_a_line(imbalanced: Path) -> None:
    write(np.append(np.repeat(np.arange(30), 6), [7] * 30))
    (line, majority) = class_counts(load(DataConfig(name="npz", path="images.npz"))).lines()
    assert "30 classes" in line
    assert "7 29 + 7" in line
    assert "7 gives val_accuracy 0.1667" in majority


@pytest.mark.parametrize("study", ["", "cross_validation = 5", 'metrics = ["val_accuracy", "val_loss"]'])
def test_a_winner_that_is_no_better_than_one_answer_for_all_is_not_crowned_without_a_word(
    study: str, imbalanced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The fake engine's accuracies are below 0.95."""
    write_space(study)
    assert main([*RUN]) == 0
    shown = capsys.readouterr().out
    assert "class ant (" in shown
    assert "0.9500" in shown
    assert main(["report", "mine", "--out", "report.html"]) == 0
    page = Path("report.html").read_text()
    assert "ant has val_accuracy 0.95" in page


@pytest.mark.parametrize("study", ["", 'metric = "val_loss"', 'metric = "val_accuracy"\ndirection = "minimize"'])
def test_a_winner_that_is_better_or_is_not_measured_so_is_not_doubted(
    study: str, imbalanced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not study:
        write(np.arange(200) % 20)
    write_space(study)
    assert main([*RUN]) == 0
    assert "note: no trial is better" not in capsys.readouterr().out


def make_earlier(folder: Path) -> None:
    """What an earlier version has stored: no class counts, and the hash of what it read."""
    storage = WriteBehindStorage(database_url(folder / "studies"), "mine")
    settings = dict(storage.get_study_user_attrs(STUDY_ID)[SETTINGS])
    del settings["classes"]
    settings["data_hash"] = settings["data_hash"].partition(".")[0]
    with closing(storage), storage.transaction():
        storage.set_study_user_attr(STUDY_ID, SETTINGS, settings)


def num_trials() -> int:
    return len(optuna.load_study(study_name="mine", storage="sqlite:///studies/sweep.db").trials)


@pytest.mark.parametrize(
    ("labels", "more", "reason"),
    [
        (np.arange(200) % 2 * 2, {}, "labels have gaps"),
        (np.arange(200) % 2, {"x_val": np.full((4, 8, 8), 200, np.uint8), "y_val": np.arange(4) % 2}, "x_val, y_val"),
    ],
)
def test_a_study_of_an_earlier_version_that_read_its_data_otherwise_is_refused_with_the_reason(
    labels: Any, more: dict[str, Any], reason: str, imbalanced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(labels, **more)
    assert main([*RUN]) == 0
    make_earlier(imbalanced)
    assert main([*RUN, "--trials", "4"]) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert "--study" in said
    assert num_trials() == 3


def test_a_study_of_an_earlier_version_goes_on(imbalanced: Path) -> None:
    write(np.arange(200) % 2)
    assert main([*RUN]) == 0
    make_earlier(imbalanced)
    assert main([*RUN, "--trials", "4"]) == 0
    assert num_trials() == 4
