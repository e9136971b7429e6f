"""A lane's trajectory is the sequential engine's, step by step: on TensorFlow here, on JAX by `test_on_jax.py`.

An epoch has two to four steps and its loss is their mean, so the losses of the epochs show each step.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import keras
import numpy as np
import pytest

from sweep.config.trial import TrialConfig
from sweep.engines.backends import current_backend
from sweep.engines.base import EpochRecord
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.sequential import SequentialEngine
from tests.engines.packed.drawn import NUM_CNNS, draw_config, other_run
from tests.engines.packed.packing import (
    ON_TENSORFLOW,
    largest_difference,
    train_all,
    train_sequentially,
)

HOLD_ALL = [5, 12, 3, 16, 7, 8]  # every optimizer, schedule and padding; JAX takes seconds to compile each
MLPS = [NUM_CNNS, NUM_CNNS + 1, NUM_CNNS + 2]
INDICES = [*HOLD_ALL, *(MLPS if ON_TENSORFLOW else MLPS[:1])]
NUM_CONFIGS, NUM_IN_FLOAT32 = len(INDICES), 4 if ON_TENSORFLOW else 2
Histories = list[list[EpochRecord]]


@pytest.fixture(scope="module")
def float64() -> Iterator[None]:
    """Keras computes in float64. On JAX it would still normalize batches in float32: here it does not."""
    import keras.src.backend as backend

    promote = backend.result_type
    with pytest.MonkeyPatch.context() as patch:
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        if not ON_TENSORFLOW:
            import jax

            jax.config.update("jax_enable_x64", True)
            patch.setattr(
                backend, "result_type", lambda *dtypes: "float64" if "float64" in dtypes else promote(*dtypes)
            )
        yield
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
        if not ON_TENSORFLOW:
            jax.config.update("jax_enable_x64", False)


@cache
def drawn() -> list[TrialConfig]:
    return [draw_config(index) for index in INDICES]


def widest() -> list[tuple[int, ...]]:
    """For lanes that are padded: room for every drawn config and its other runs."""
    return [(7,) * layers + (11,) for layers in (1, 2, 3)] + [(11,) * layers for layers in (1, 2, 3)]


@pytest.fixture(scope="module")
def lanes_in_float64(float64: None) -> PackedEngine:
    """Has the compiled programs that other engines of the module take over, to save time."""
    return PackedEngine(1, widest=widest())


@pytest.fixture(scope="module")
def alone_in_float64(lanes_in_float64: PackedEngine) -> Histories:
    return train_all(lanes_in_float64, drawn())


@pytest.fixture(scope="module")
def sequential_in_float64(float64: None) -> Histories:
    return [train_sequentially(config) for config in drawn()]


def differences(ours: Histories, theirs: Histories) -> list[float]:
    return [largest_difference(*pair) for pair in zip(ours, theirs, strict=True)]


# ---- what a trajectory starts from ----


@pytest.mark.parametrize("index", [*range(6), *MLPS])
def test_initial_weights_are_the_sequential_engines(index: int) -> None:
    config = draw_config(index)
    lanes, alone = PackedEngine(1), SequentialEngine()
    lanes.admit(0, config)
    alone.admit(0, config)
    for ours, theirs in zip(lanes.model(0).get_weights(), alone.model(0).get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.93])
@pytest.mark.parametrize("rows", [(13,), (4, 3, 5)])
def test_dropout_masks_are_keras_own(dtype: str, rate: float, rows: tuple[int, ...]) -> None:
    """Draw by draw, of units and of feature maps; on JAX also where units or filters are padded."""
    dropout = keras.layers.Dropout(rate, seed=5, dtype=dtype)
    ones = keras.ops.ones((*rows, 9), dtype)
    for draw in range(3):
        mask = lane_dropout(ones, rate, draw)
        theirs = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(dropout(ones, training=True), "float32")))
        np.testing.assert_allclose(mask, theirs, rtol=0.01)
        assert 0 < (theirs == 0).mean() < 1


def lane_dropout(ones: Any, rate: float, draw: int) -> Any:
    """What a lane's dropout with seed 5 makes of (.., 9) ones at draw 0, 1, ..."""
    if ON_TENSORFLOW:
        import tensorflow as tf

        from sweep.engines.backends.tensorflow.lanes import _dropout

        return tf.cast(_dropout(ones, rate, 1 - rate, tf.Variable([5, draw], dtype="int64")), "float32").numpy()
    import jax.numpy as jnp

    from sweep.engines.backends.jax.lanes import _dropout as dropout_on_jax

    wide = jnp.pad(ones, (*((0, 0) for _ in ones.shape[:-1]), (0, 4)), constant_values=1)
    return np.asarray(dropout_on_jax(wide, 1 - rate, 9, jnp.array([5, draw], "uint32")), "float32")[..., :9]


# ---- in float32 and bfloat16, over the first steps ----


@pytest.mark.exhaustive
def test_float32_is_followed_over_the_first_five_steps() -> None:
    assert keras.config.floatx() == "float32"  # tests in float64 come later in this file
    configs = drawn()[:NUM_IN_FLOAT32]
    engine = PackedEngine(2, widest=widest())
    found = [
        largest_difference(ours, train_sequentially(config), epochs_of(config, num_steps=5))
        for ours, config in zip(train_all(engine, configs), configs, strict=True)
    ]
    print("largest difference in float32:", max(found))
    assert max(found) <= 1e-4, found


@pytest.mark.slow
def test_bfloat16_is_followed_loosely() -> None:
    """bfloat16 has three digits, and each backend rounds where it likes; another dropout mask would be far off."""
    config = draw_config(2, precision="mixed_bfloat16")
    (ours,) = train_all(PackedEngine(1), [config])
    found = largest_difference(ours, train_sequentially(config), epochs_of(config, num_steps=5))
    print("largest difference in bfloat16:", found)
    assert found <= 0.005
    (in_float32,) = train_all(PackedEngine(1), [draw_config(2)])
    assert largest_difference(ours, in_float32, 1) > 0


def epochs_of(config: TrialConfig, num_steps: int) -> int:
    """How many epochs hold the first steps."""
    return -(-num_steps // -(-24 // config.training.batch_size))


# ---- in float64, over 100 steps ----


@pytest.mark.slow
def test_a_lane_follows_the_sequential_engine_for_100_steps(
    alone_in_float64: Histories, sequential_in_float64: Histories
) -> None:
    """Random configs over everything: a wrong formula, image or dropout mask would show at its first step."""
    found = differences(alone_in_float64, sequential_in_float64)
    print("largest difference in float64:", max(found))
    assert max(found) <= 1e-7, found
    for ours, theirs in zip(alone_in_float64, sequential_in_float64, strict=True):
        assert [metrics.logs["learning_rate"] for metrics in ours] == pytest.approx(
            [metrics.logs["learning_rate"] for metrics in theirs], rel=1e-5, abs=1e-9
        )


@pytest.mark.exhaustive
def test_eight_and_64_lanes_follow_it_too(lanes_in_float64: PackedEngine, alone_in_float64: Histories) -> None:
    """64: the drawn configs between other runs of the same structures, which end earlier; two threads."""
    eight, many = PackedEngine(8, 2, widest=widest()), PackedEngine(64, 2, widest=widest())
    eight._programs = many._programs = lanes_in_float64._programs
    others = [other_run(drawn()[index % NUM_CONFIGS], index) for index in range(64 - NUM_CONFIGS)]
    evicted_after = dict.fromkeys(range(NUM_CONFIGS, 64), 4)
    places = np.random.default_rng(0).permutation(64).tolist()
    in_64 = train_all(many, [*drawn(), *others], places, evicted_after)
    assert max(differences(in_64[:NUM_CONFIGS], alone_in_float64)) <= 1e-7
    assert max(differences(train_all(eight, drawn()), alone_in_float64)) <= 1e-7


@pytest.mark.slow
@pytest.mark.skipif(ON_TENSORFLOW, reason="lanes share no call on TensorFlow")
def test_lanes_in_one_call_follow_it_too(
    monkeypatch: pytest.MonkeyPatch, float64: None, alone_in_float64: Histories
) -> None:
    """As on a GPU: four lanes a call, of different widths, with convolutions as products over patches."""
    backend = current_backend()
    fitted = backend.fitted

    def on_patches(*given: Any) -> Any:
        structure: Any = fitted(*given)
        return replace(structure, kernel=replace(structure.kernel, convolution="patches"))

    monkeypatch.setattr(backend, "fitted", on_patches)
    index = next(
        index for index, config in enumerate(drawn()) if config.model.batch_normalization and config.model.dropout
    )
    engine = PackedEngine(4, widest=widest())
    engine._lanes_per_call = 4
    configs = [drawn()[index], *(other_run(drawn()[index], number) for number in range(3))]
    alone = PackedEngine(1, widest=widest())
    alone._programs = engine._programs
    together = train_all(engine, configs)
    expected = [alone_in_float64[index], *train_all(alone, configs[1:])]
    assert max(differences(together, expected)) <= 1e-7
