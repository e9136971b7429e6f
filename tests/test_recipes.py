"""The shipped recipes: single configs of the source articles, which a user trains as they are."""

import subprocess
import sys
from pathlib import Path

import pytest

from sweep.config.file import read_config
from sweep.engines.packed.structure import structure_of
from tests.engines.packed.test_structure import dataset

FOLDER = Path(__file__).parents[1] / "search_spaces" / "recipes"
RECIPES = sorted(FOLDER.glob("*.toml"))


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_recipe_is_a_config_that_opens_with_its_command_and_the_sources_figure(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert lines[0].startswith(f"# sweep retrain search_spaces/recipes/{file.name} ")
    assert any(line.startswith("# The source's figure: ") for line in lines)
    config, provenance = read_config(file)
    assert provenance is None
    if file.stem == "cnn_beyond":  # ours: the test set is for its end alone
        assert (config.data.validation, config.data.train_on) == ("split", "train+validation")
    else:
        assert config.data.validation == "test"  # as the articles did


def test_weights_are_those_of_the_articles_networks() -> None:
    sizes = {}
    for name in ("mlp_reference", "mlp_rmsprop"):
        config, _ = read_config(FOLDER / f"{name}.toml")
        shapes = structure_of(config, dataset()).kernel.weight_shapes(config.model.lane_widths)
        sizes[name] = [shape for shape in shapes if len(shape) == 2]
    assert sizes == {"mlp_reference": [(64, 70), (70, 30), (30, 10)], "mlp_rmsprop": [(64, 64), (64, 64), (64, 10)]}


@pytest.mark.slow
def test_recipe_is_trained_and_says_that_it_validates_on_the_test_set(tmp_path: Path) -> None:
    changes = ["--set", "data.name=digits", "--set", "training.epochs=2"]
    command = ["train", str(FOLDER / "mlp_reference.toml"), "--device", "cpu", *changes]
    trained = subprocess.run(  # in its own process: this one's backend may be set up otherwise
        [sys.executable, "-m", "sweep.cli", *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert trained.returncode == 0, trained.stderr
    assert "the validation images are the test set" in trained.stdout
    assert "1437 training and 360 validation images" in trained.stdout
    assert "360 test images" in trained.stdout
