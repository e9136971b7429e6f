"""Images that are large for the memory stay in their file, and training gives the same bits as with all in memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sweep.config.trial import TrialConfig
from sweep.data import clear_cache
from sweep.engines import feeding, placed
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.sequential import SequentialEngine
from sweep.testing.engine import train_to_the_end, without_seconds


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """150 images in three classes: training takes several calls, the last of which is shorter."""
    monkeypatch.setenv("SWEEP_CACHE", str(tmp_path / "cache"))
    clear_cache()
    generator = np.random.default_rng(0)
    for number in range(150):
        pixels = generator.integers(0, 80 * (number % 3 + 1), (8, 8, 3), dtype=np.uint8)
        file = tmp_path / "photos" / "abc"[number % 3] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    return tmp_path / "photos"


def trained(engine: Any, folder: Path, scaling: str) -> tuple[Any, list[Any]]:
    values = {
        "data": {"name": "folder", "path": str(folder), "scaling": scaling},
        "model": {"filters": [4], "dropout": 0.2},
        "training": {"epochs": 2, "batch_size": 10, "metrics": ["f1_macro"]},
    }
    engine.admit(0, TrialConfig.from_values(values, "test"))
    history = without_seconds(train_to_the_end(engine))
    weights = engine.model(0).get_weights()
    engine.evict(0)
    return history, weights


@pytest.mark.parametrize("scaling", ["unit", "standard"])
@pytest.mark.parametrize("is_small", [True, False])
def test_streamed_images_give_the_same_bits(
    scaling: str, is_small: bool, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placed, "MAX_SCALED_BYTES", 2**26 if is_small else 0)  # larger images are scaled by minibatch
    expected, weights = trained(SequentialEngine(), photos, scaling)
    monkeypatch.setattr(placed, "MEMORY_PARTS", 2**60)
    monkeypatch.setattr(feeding, "STREAMED_BYTES", 8 * 8 * 3 * 4 * 25)
    for engine in (SequentialEngine(), PackedEngine()):
        history, other_weights = trained(engine, photos, scaling)
        assert history == expected
        assert all(map(np.array_equal, weights, other_weights))
