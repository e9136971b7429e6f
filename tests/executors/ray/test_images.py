"""Actors of Ray are given the images: the source that reads them runs in the launcher alone."""

import os
import subprocess
import sys

import pytest
from sweeps import read_trials

SOURCE = """
import numpy as np, os
from pathlib import Path
from sweep.data import Arrays

def load():
    Path(os.environ["SWEEP_TEST_CALLS"], str(os.getpid())).touch()
    labels = np.arange(150) % 3
    images = np.zeros((150, 6, 6), np.uint8)
    images[np.arange(150), 0, labels] = 255
    return Arrays(train=(images, labels), class_names=["ant", "bee", "cat"])
"""
SPACE = """
[study]
name = "mine"
num_trials = 1
[data]
name = "images_for_ray:load"
[training]
epochs = 1
[model]
family = "mlp"
hidden_units = [8]
[space.dropout]
key = "model.dropout"
type = "float"
low = 0.0
high = 0.5
"""


@pytest.mark.ray
def test_a_users_source_is_called_by_the_launcher_and_its_images_are_sent(tmp_path):
    (tmp_path / "images_for_ray.py").write_text(SOURCE)
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "calls").mkdir()
    command = [sys.executable, "-m", "sweep.cli", "run", "space.toml", "--ray", "local", "--workers", "1"]
    environment = {**os.environ, "SWEEP_TEST_CALLS": str(tmp_path / "calls"), "SWEEP_STUDIES": "studies"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (trial,) = read_trials(tmp_path / "studies", "mine")
    assert trial["state"] == "COMPLETE"
    assert len([*(tmp_path / "calls").iterdir()]) == 1
