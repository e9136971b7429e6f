"""What a lane computes does not depend on the others, to the bit: on TensorFlow here, on JAX by `test_on_jax.py`."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sweep.config.trial import TrialConfig
from sweep.engines.base import EpochRecord, record_of
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.weak_lru_cache import WeakLruCache
from tests.engines.packed.packing import ON_TENSORFLOW, Trained, weights_of
from tests.engines.training import config_of

WATCHED: dict[str, Any] = {  # three full minibatches and a smaller one, everything that has a state
    "data": {"num_train": 50, "num_validation": 40},
    "model": {"filters": [4, 3], "dense_units": 6, "dropout": 0.4, "batch_norm": True, "padding": "same"},
    "regularizer": {"l1": 1e-4, "l2": 1e-3, "scope": "all"},
    "optimizer": {"name": "rmsprop", "momentum": 0.8},
    "schedule": {"name": "cosine", "initial_learning_rate": 0.003},
    "training": {"epochs": 4, "batch_size": 16, "seed": 3},
}
WIDEST = [(5, 5, 9)]
GROUPS = [1] if ON_TENSORFLOW else [1, 4]
PROGRAMS: WeakLruCache[Any, Any] = WeakLruCache(99)  # compiled once for all engines of this file
SEEDS = iter(range(100, 10**6))


def changed(**sections: dict[str, Any]) -> TrialConfig:
    """The watched config with some values changed, and another seed."""
    values = copy.deepcopy(WATCHED)
    for name, section in sections.items():
        values[name] |= section
    values["training"]["seed"] = next(SEEDS)
    return config_of(values)


def other_numbers() -> TrialConfig:
    return changed(
        model={"dropout": 0.1}, regularizer={"l1": 0.1}, schedule={"initial_learning_rate": 0.01, "alpha": 0.5}
    )


def other_widths() -> TrialConfig:
    return changed(model={"filters": [1 + next(SEEDS) % 5, 5], "dense_units": 9})


def diverging() -> TrialConfig:
    return changed(schedule={"initial_learning_rate": 1e30})


def other_structure() -> TrialConfig:
    return changed(model={"activation": "elu"})


def with_huge_weights(engine: PackedEngine) -> None:
    for lane, run in engine._runs.items():
        if lane != 1:
            run.set_weights([np.full_like(array, 1e30) for array in run.get_weights()])  # type: ignore[union-attr]


def with_new_neighbours(engine: PackedEngine) -> None:
    for lane in (0, 2, 3):
        engine.evict(lane)
        engine.admit(lane, diverging() if lane == 2 else other_widths())


def make_engine(lanes_per_call: int) -> PackedEngine:
    engine = PackedEngine(4, 2, widest=WIDEST)
    engine._lanes_per_call, engine._programs = lanes_per_call, PROGRAMS
    return engine


def train(
    engine: PackedEngine,
    neighbours: dict[int, TrialConfig],
    each_epoch: Callable[[PackedEngine], None] | None = None,
    lane: int = 1,
) -> tuple[Trained, list[EpochRecord]]:
    """The watched config's outcome and records, trained on a lane beside others; these must be of use."""
    for other, config in neighbours.items():
        engine.admit(other, config)
    engine.admit(lane, config_of(WATCHED))
    history = []
    for epoch in range(4):
        if each_epoch is not None and epoch:
            each_epoch(engine)
        outcomes = engine.train_epoch()
        assert set(outcomes) == {lane, *neighbours}
        history.append(record_of(lane, outcomes))
        assert not history[-1].not_finite()
    return Trained.of(history, weights_of(engine, lane)), history


@pytest.fixture(scope="module", params=GROUPS)
def group(request: pytest.FixtureRequest) -> int:
    """Lanes of one call."""
    return int(request.param)


@pytest.fixture(scope="module")
def expected(group: int) -> Trained:
    """Alone in an engine that nothing else ran in; in a group, beside plain neighbours, as its program has its size."""
    if group == 1:
        return train(PackedEngine(4, widest=WIDEST), {})[0]
    return train(make_engine(group), {lane: other_numbers() for lane in (0, 2, 3)})[0]


NEIGHBOURS = {
    "none": {},
    "other numbers": dict.fromkeys((0, 2, 3), other_numbers),
    "two": dict.fromkeys((2, 3), other_numbers),
    "other widths": dict.fromkeys((0, 2, 3), other_widths),
    "diverging": dict.fromkeys((0, 2, 3), diverging),
    "other structures": {0: other_structure, 2: other_widths, 3: other_structure},
}
ALONE_IN_ITS_CALL = ("none", "other structures")


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_a_lane_is_the_same_to_the_bit_whatever_is_beside_it(name: str, group: int, expected: Trained) -> None:
    """Of a call for four lanes, where two or three share it; other group sizes are other programs, see below."""
    if group > 1 and name in ALONE_IN_ITS_CALL:
        pytest.skip("a program of another size")
    engine = make_engine(group)
    assert train(engine, {lane: make() for lane, make in NEIGHBOURS[name].items()})[0] == expected
    if name == "diverging":
        assert all(not np.isfinite(weights_of(engine, lane)[0]).all() for lane in (0, 2, 3))


@pytest.mark.parametrize("each_epoch", [with_huge_weights, with_new_neighbours])
def test_a_lane_is_the_same_to_the_bit_whatever_becomes_of_the_others(
    each_epoch: Callable[[PackedEngine], None], group: int, expected: Trained
) -> None:
    engine = make_engine(group)
    assert train(engine, {lane: other_numbers() for lane in (0, 2, 3)}, each_epoch)[0] == expected


@pytest.mark.parametrize("lane", [0, 3])
def test_each_place_gives_the_same_to_the_bit(lane: int, group: int, expected: Trained) -> None:
    """Lanes move up in their group when one before them ends."""
    others = {other: other_widths() for other in range(4) if other != lane}
    assert train(make_engine(group), others, lane=lane)[0] == expected


def test_a_refilled_lane_holds_nothing_of_the_run_before(group: int, expected: Trained) -> None:
    """That one diverged: NaN is in its weights, slots and statistics."""
    engine = make_engine(group)
    for lane in range(4):
        engine.admit(lane, diverging())
    assert record_of(1, engine.train_epoch()).not_finite()
    for lane in range(4):
        engine.evict(lane)
    assert train(engine, {lane: other_numbers() for lane in (0, 2, 3) if group > 1})[0] == expected


@pytest.mark.skipif(ON_TENSORFLOW, reason="lanes share no call on TensorFlow")
@pytest.mark.parametrize("num_neighbours", [1, 3])
def test_calls_for_more_lanes_compute_the_same_up_to_rounding(num_neighbours: int) -> None:
    """A program for two or four lanes is another program than that for one: the same formulas in another order."""
    _, alone = train(make_engine(1), {})
    others = {lane: other_widths() for lane in (0, 2, 3)[:num_neighbours]}
    _, together = train(make_engine(4), others)
    for ours, theirs in zip(together, alone, strict=True):
        assert (ours.logs["loss"], ours.logs["val_loss"]) == pytest.approx(
            (theirs.logs["loss"], theirs.logs["val_loss"]), rel=1e-3
        )
        assert ours.logs["learning_rate"] == theirs.logs["learning_rate"]
