"""Lanes side by side on data for which TensorFlow thinks memory short, and plans temporary variables."""

from pathlib import Path

import numpy as np
import pytest

from sweep.config.trial import TrialConfig
from sweep.engines.base import EpochRecord
from sweep.engines.packed.engine import PackedEngine

NUM_IMAGES = 80_000  # of 28 x 28 float32: 250 MB, as many as a CPU has to TensorFlow


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path, generator = tmp_path / "images.npz", np.random.default_rng(0)
    pixels = generator.integers(0, 255, (NUM_IMAGES, 28, 28), dtype=np.uint8)
    np.savez(path, x=pixels, y=generator.integers(0, 10, NUM_IMAGES))
    return path


@pytest.mark.slow
def test_lanes_with_penalties_train_at_the_same_time(images: Path) -> None:
    engine = PackedEngine(2, 2)
    for lane in range(2):
        values = {
            "data": {"name": "npz", "path": str(images), "num_validation": 2000, "test_fraction": 0.01},
            "model": {"family": "mlp", "hidden_units": [70, 30]},
            "regularizer": {"l1": 1e-5, "l2": 1e-4},
            "training": {"epochs": 6, "batch_size": 500, "seed": lane},
        }
        engine.admit(lane, TrialConfig.from_values(values, "test"))
    for _ in range(6):
        outcomes = engine.train_epoch()
        assert [type(outcome) for outcome in outcomes.values()] == [EpochRecord, EpochRecord], outcomes
