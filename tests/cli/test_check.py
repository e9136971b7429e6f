"""`sweep check`: what is fixed, what varies, and models that can really be built."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.cli import space_summary as check
from sweep.errors import SpaceError
from sweep.space.file import load_space
from sweep.space.space import PrunerChoice, Space

DIGITS = Path(__file__).parents[2] / "search_spaces" / "cnn_digits.toml"


def digits(*overrides: str) -> Space:
    return load_space(DIGITS, overrides)


def test_it_shows_what_is_fixed_varied_and_left(capsys: pytest.CaptureFixture[str]) -> None:
    check.print_space(digits("training.epochs=3"))
    shown = capsys.readouterr().out
    assert "maximize val_accuracy, 30 trials" in shown
    assert re.search(r"fixed +\[training\] epochs = 3", shown)
    assert re.search(r"l2 +regularizer.l2 +float: low 1e-06, high 0.01, log True", shown)
    assert re.search(r"filters_1 +model.filters.1 +categorical: choices \[16, 32\]", shown)
    left = {section: keys.split(", ") for section, keys in re.findall(r"default \[(\w+)\] (.*\S)", shown)}
    assert "dropout" in left["model"]
    assert not {"filters", "dense_units"} & set(left["model"])
    assert left["regularizer"] == ["l1", "scope"]


def test_samples_are_built_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    check.print_samples(digits(), num_samples=2, seed=0)
    shown = capsys.readouterr().out
    assert re.search(r"1149 train.* 288 validation .* images .*\(8, 8, 1\)", shown)
    samples = re.findall(r"sample \d: ([\d,]+) weights; .*filters_1=(\d+), filters_2=(\d+)", shown)
    assert len(samples) == 2
    for count, first, second in samples:
        convolutions = (9 + 1) * int(first) + (9 * int(first) + 1) * int(second)
        assert int(count.replace(",", "")) == convolutions + (4 * 4 * int(second) + 1) * 120 + 121 * 10


def test_what_cannot_be_built_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SpaceError, match=r"cnn_digits\.toml: model.filters: .*leaves no feature map"):
        check.print_samples(digits("model.kernel=9", "model.padding=valid"), num_samples=1, seed=0)


def test_the_size_of_a_grid_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    check.print_space(load_space(DIGITS.parent / "mlp_batch_size.toml"))
    assert "\nspace: 7 points\n" in capsys.readouterr().out


def test_a_space_without_parameters_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    """Its trials would look like a sweep, whose best is the luckiest seed."""
    check.print_space(Space.from_sections(study={"name": "mine"}))
    said = capsys.readouterr().out
    assert "no parameters" in said
    assert "[space." in said


def test_a_pruner_of_several_objectives_is_refused() -> None:
    space = load_space(DIGITS.parent / "mlp_batch_size.toml")
    with pytest.raises(SpaceError, match=r"pruner\.name: Optuna does not prune multi-objective studies"):
        check.print_samples(replace(space, pruner=PrunerChoice(name="median")), num_samples=1, seed=0)
