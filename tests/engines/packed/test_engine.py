"""The packed engine's lanes: which are free, what is compiled, what is interrupted. Real training on TensorFlow."""

import threading
from typing import Any

import pytest

from sweep.config.trial import TrialConfig
from sweep.engines.backends import current_backend
from sweep.engines.base import EpochRecord
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.weak_lru_cache import WeakLruCache
from sweep.errors import DataError, Interrupted, SpaceError
from tests.engines.training import config_of

LaneProgram: Any = current_backend().lane_program

LaneProgram: Any = current_backend().lane_program

PROGRAMS: WeakLruCache[Any, Any] = WeakLruCache(99)


def config(epochs: int = 2, **sections: dict[str, Any]) -> TrialConfig:
    values: dict[str, Any] = {
        "data": {"num_train": 40, "num_validation": 30},
        "model": {"filters": [3], "dense_units": 5},
        "training": {"epochs": epochs, "batch_size": 20},
    }
    return config_of({**values, **{name: {**values.get(name, {}), **section} for name, section in sections.items()}})


def make_engine(num_lanes: int, num_threads: int = 1, **options: Any) -> PackedEngine:
    """Takes over what was compiled before."""
    engine = PackedEngine(num_lanes, num_threads, **options)
    engine._programs = PROGRAMS
    return engine


@pytest.mark.parametrize("lane", [-1, 2])
def test_a_lane_that_is_not_there_is_refused(lane: int) -> None:
    with pytest.raises(ValueError, match=f"lane {lane} is not free"):
        make_engine(2).admit(lane, config())


@pytest.mark.parametrize(
    ("sections", "error"),
    [
        ({"model": {"filters": [4] * 9}}, SpaceError),
        ({"data": {"name": "npz", "path": "no_such.npz", "num_train": None, "num_validation": None}}, DataError),
        ({"model": {"builder": "no_such_module:build"}}, SpaceError),
    ],
)
def test_a_config_that_cannot_start_leaves_its_lane_free_and_the_others_alone(
    sections: dict[str, Any], error: type[Exception]
) -> None:
    engine = make_engine(2)
    engine.admit(0, config())
    with pytest.raises(error):
        engine.admit(1, config_of(sections))
    assert set(engine.train_epoch()) == {0}
    engine.admit(1, config())
    assert set(engine.train_epoch()) == {0, 1}


def test_the_run_of_a_failing_lane_ends_alone_until_it_is_evicted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exception is given for it, not raised; the lane is then as good as new."""
    train = LaneProgram.train_epoch
    is_failing = True

    def fail_for_one(program: Any, lanes: Any, *given: Any) -> Any:
        if is_failing and int(lanes[0].widths[-1]) == 7:
            raise ValueError("seven")
        return train(program, lanes, *given)

    monkeypatch.setattr(LaneProgram, "train_epoch", fail_for_one)
    engine = make_engine(3, 2)
    for lane, units in enumerate((6, 7, 8)):
        engine.admit(lane, config(model={"dense_units": units}))
    outcomes = engine.train_epoch()
    assert [type(outcomes[lane]) for lane in range(3)] == [EpochRecord, ValueError, EpochRecord]
    with pytest.raises(ValueError, match="lane 1 is not free"):
        engine.admit(1, config())
    engine.evict(1)
    is_failing = False
    engine.admit(1, config(model={"dense_units": 7}))
    outcomes = engine.train_epoch()
    assert {lane: metrics.epoch for lane, metrics in outcomes.items()} == {0: 2, 1: 1, 2: 2}  # type: ignore[union-attr]


def test_nothing_is_compiled_twice_whatever_the_widths_numbers_and_lanes() -> None:
    engine = PackedEngine(4, 2)
    assert engine.num_compilations == 0
    for number in range(12):
        widths = {"filters": [1 + number % 5], "dense_units": 3 + number}
        engine.admit(number % 4, config(1, model=widths, schedule={"initial_learning_rate": 0.001 * (1 + number)}))
        if number % 4 == 3:
            engine.train_epoch()
            for lane in range(4):
                engine.evict(lane)
            assert engine.num_compilations == 1
    engine.admit(0, config(1, model={"activation": "elu"}))
    engine.train_epoch()
    assert engine.num_compilations == 2


@pytest.mark.parametrize("num_threads", [1, 2])
def test_an_interruption_ends_the_epoch_with_the_calls_that_are_running(
    num_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lanes that wait for a thread do not begin, so that Ctrl-C is not a matter of how many there are."""
    train = LaneProgram.train_epoch
    is_training = threading.Event()
    calls = []

    def train_until_interrupted(program: Any, *given: Any) -> Any:
        calls.append(program)
        is_training.set()
        assert engine._is_stopping.wait(timeout=60)
        return train(program, *given)

    def pause() -> None:
        if is_training.is_set():
            raise Interrupted(15)

    monkeypatch.setattr(LaneProgram, "train_epoch", train_until_interrupted)
    engine = make_engine(6, num_threads, pause=pause)
    for lane in range(6):
        engine.admit(lane, config())
    threads = set(threading.enumerate())
    with pytest.raises(Interrupted):
        engine.train_epoch()
    assert set(threading.enumerate()) <= threads
    assert 1 <= len(calls) <= num_threads
    for lane in range(6):
        engine.evict(lane)


def test_pause_is_called_while_users_builders_train() -> None:
    """They train on the main thread."""
    builder = {"builder": "tests.engines.packed.test_engine:build"}
    calls: list[int] = []
    engine = make_engine(1, pause=lambda: calls.append(1))
    engine.admit(0, config_of({"model": builder, "training": {"epochs": 1}}))
    engine.train_epoch()
    assert calls


def build(image_shape: tuple[int, int, int], num_classes: int) -> Any:
    import keras

    layers = [keras.layers.Flatten(), keras.layers.Dense(num_classes, "softmax")]
    return keras.Sequential([keras.Input(image_shape), *layers])
