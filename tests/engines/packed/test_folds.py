"""Folds share one copy of the images and one program, and train as each would alone; what no lane uses is dropped."""

import gc
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.engines import placed
from sweep.engines.backends import current_backend
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.placed import ImageStore
from tests.engines.packed.packing import (
    ON_TENSORFLOW,
    Trained,
    train_all,
    train_sequentially,
    weights_of,
)

NUM_FOLDS = 6


@pytest.fixture(params=["scaled once", "scaled in the minibatch"])
def images(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """145 images of bytes in a file: folds of 24 and 25 images."""
    if request.param == "scaled in the minibatch":
        monkeypatch.setattr(placed, "MAX_SCALED_BYTES", 0)
    pixels = np.random.default_rng(0).integers(0, 256, (145, 6, 6), dtype=np.uint8)
    labels = np.arange(145) % 3
    path = tmp_path / "images.npz"
    np.savez(path, x_train=pixels, y_train=labels, x_test=pixels[:9], y_test=labels[:9])
    return str(path)


def config(path: str, **sections: Any) -> TrialConfig:
    values = {
        "model": {"filters": [3], "dense_units": 5},
        "training": {"epochs": 2, "batch_size": 32},
        **sections,
        "data": {"name": "npz", "path": path, **sections.get("data", {})},
    }
    return TrialConfig.from_values(values, "test")


def folds(path: str) -> list[TrialConfig]:
    return [config(path, data={"num_folds": NUM_FOLDS, "fold": fold + 1}) for fold in range(NUM_FOLDS)]


@pytest.mark.slow
def test_folds_compile_once_hold_one_copy_and_score_as_alone(images: str) -> None:
    configs = folds(images)
    sizes = {len(load(config.data).validation) for config in configs}
    assert sizes == {24, 25}
    engine = PackedEngine(NUM_FOLDS, 2, widest=[(3, 5)])
    together = train_all(engine, configs)
    num_rests = 0 if ON_TENSORFLOW else 3  # JAX compiles the last, smaller minibatches of each size, to validate too
    assert engine.num_compilations <= 1 + num_rests + (0 if ON_TENSORFLOW else 1)
    for lane, config in enumerate(configs):
        engine.admit(lane, config)
    runs: list[Any] = [*engine._runs.values()]
    assert len({id(run.placed.arrays.images) for run in runs}) == 1
    assert len({id(load(config.data).images) for config in configs}) == 1
    alone = PackedEngine(1, widest=[(3, 5)])
    for config, history in zip(configs, together, strict=True):
        assert Trained.of(train_all(alone, [config])[0], []) == Trained.of(history, [])
    for config, history in ((configs[0], together[0]), (configs[-1], together[-1])):  # a fold of each size
        assert history[-1].logs["loss"] == pytest.approx(train_sequentially(config)[-1].logs["loss"], rel=1e-4)


def test_what_no_lane_uses_is_dropped(images: str, tmp_path: Path) -> None:
    engine = PackedEngine(2, widest=[(3, 5)])
    engine.admit(0, config(images))
    first: Any = engine._runs[0]
    dropped = weakref.ref(first.placed.arrays)
    kept_weights = weights_of(engine, 0)
    del first
    for number in range(2):  # another copy of the images for each kind of scaling
        engine.admit(1, config(images, data={"scaling": "standard", "num_folds": 3, "fold": 1 + number}))
        engine.evict(1)
    gc.collect()
    assert dropped() is not None  # its lane is there still
    assert len(engine._store._arrays.values()) <= 2
    assert all(np.array_equal(a, b) for a, b in zip(kept_weights, weights_of(engine, 0), strict=True))
    engine.evict(0)
    engine.admit(1, config(images, data={"scaling": "standard"}))
    gc.collect()
    assert dropped() is None


def test_a_byte_is_scaled_to_the_same_bits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    backend = current_backend()
    if ON_TENSORFLOW:
        import tensorflow as tf

        compiled: Any = tf.function(backend.minibatch)
    else:
        import jax

        compiled = jax.jit(backend.minibatch)
    monkeypatch.setattr(placed, "MAX_SCALED_BYTES", 0)
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 4, 4)
    np.savez(tmp_path / "bytes.npz", x_train=pixels, y_train=np.arange(16) % 2, x_test=pixels, y_test=np.arange(16) % 2)
    dataset = load(config(str(tmp_path / "bytes.npz")).data)
    on_device = ImageStore(backend).place(dataset)
    rows = np.arange(16, dtype=np.int32)
    scaled, _ = compiled(backend.source(on_device.arrays, on_device.divisor), backend.put(rows))
    assert np.asarray(scaled).tobytes() == (pixels / 255.0).astype(np.float32).tobytes()
    assert np.asarray(on_device.arrays.images).dtype == (np.uint8 if ON_TENSORFLOW else np.float32)


@pytest.mark.skipif(ON_TENSORFLOW, reason="TensorFlow is there")
def test_a_users_model_on_jax_imports_no_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "models_here.py").write_text(
        "import keras\n"
        "def build(image_shape, num_classes):\n"
        "    noise = keras.random.normal((1,))\n"
        "    return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(),\n"
        "                             keras.layers.Dense(num_classes, activation='softmax')])\n"
    )
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from sweep.models.build import build_model; from sweep.config.trial import TrialConfig\n"
        "from sweep.engines.devices import set_up_device; set_up_device('cpu', 1)\n"
        "config = TrialConfig.from_values({'model': {'builder': 'models_here:build'}}, 'test')\n"
        "first, second = (build_model(config, (4, 4, 1), 3).get_weights()[0].tobytes() for _ in range(2))\n"
        "assert first == second\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
