"""From a space file to a model, for real, with the user's own builder: sweep, export, verify, retrain."""

import json
import os
import subprocess
import sys

import pytest

BUILDER = """
import keras

def build(image_shape, num_classes, units, layers=1):
    hidden = [keras.layers.Dense(units, activation="relu") for _ in range(layers)]
    output = keras.layers.Dense(num_classes, activation="softmax")
    return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(), *hidden, output])
"""
SPACE = """
study = { name = "mine", num_trials = 3 }
training = { epochs = 2 }

[model]
builder = "my_models:build"
options = { layers = 2 }

[space.units]
key = "model.options.units"
type = "int"
low = 4
high = 40
"""
CNN_SPACE = """
study = { name = "cnn", num_trials = 3 }
training = { epochs = 2 }

[space.filters_1]
key = "model.filters.1"
type = "int"
low = 2
high = 8
"""
CNN_COMMANDS = """
from sweep.cli.parser import main
codes = [
    main(["run", "cnn.toml", "--trials", "3", "--threads", "2", "--device", "cpu"]),
    main(["export", "cnn", "--trial", "2"]),
    main(["retrain", "studies/cnn/configs/trial-00002.toml", "--verify", "--device", "cpu"]),
]
print(codes)
"""
COMMANDS = """
from sweep.cli.parser import main
config = "studies/mine/configs/trial-00001.toml"
codes = [
    main(["run", "spaces/space.toml"]),
    main(["export", "mine", "--trial", "1"]),
    main(["retrain", config, "--verify"]),
    main(["retrain", config, "--verify", "--set", "model.options.units=3"]),
    main(["retrain", config, "--seeds", "2"]),
    main(["train", config, "--set", "training.epochs=1", "--on", "train+validation", "--out", "one"]),
]
print(codes)
"""


@pytest.mark.slow
def test_sweep_export_verify_and_retrain_of_a_users_builder(tmp_path):
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "space.toml").write_text(SPACE)
    (tmp_path / "spaces" / "my_models.py").write_text(BUILDER)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "spaces")}
    result = subprocess.run(
        [sys.executable, "-c", COMMANDS], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.stdout.splitlines()[-1] == "[0, 0, 0, 1, 0, 0]", result.stdout + result.stderr
    assert "runs your code: my_models:build" in result.stdout
    assert "verified: " in result.stdout
    assert "by more than 1e-06" in result.stderr
    metrics = json.loads((tmp_path / "studies" / "mine" / "models" / "trial-00001" / "metrics.json").read_text())
    assert len(metrics["seeds"]) == 2
    assert metrics["num_test"] == 360
    assert (tmp_path / "one" / "model.keras").exists()


@pytest.mark.slow
def test_a_cnn_space_is_swept_on_packed_lanes_and_one_lane_reproduces_a_score(tmp_path):
    (tmp_path / "cnn.toml").write_text(CNN_SPACE)
    result = subprocess.run(
        [sys.executable, "-c", CNN_COMMANDS], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.stdout.splitlines()[-1] == "[0, 0, 0]", result.stdout + result.stderr
    assert "engine: packed, 2 lanes (2 models at a time; cpu with 2 threads; " in result.stdout
    config = (tmp_path / "studies" / "cnn" / "configs" / "trial-00002.toml").read_text()
    assert 'engine = "packed"' in config
    assert "num_lanes = 2" in config
    assert "verified: " in result.stdout
