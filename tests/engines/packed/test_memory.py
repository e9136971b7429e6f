"""Too little memory: fewer lanes at once, nothing lost but a lane that does not fit alone, no result changed.

The lack is feigned by programs that raise what TensorFlow and JAX raise, before an epoch's first step or after some.
"""

from typing import Any

import pytest

from sweep.config.trial import TrialConfig
from sweep.engines.backends import current_backend
from sweep.engines.base import EpochRecord, Outcome
from sweep.engines.packed import engine as packed
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.weak_lru_cache import WeakLruCache
from sweep.errors import Cause
from sweep.executors.base import EpochDone, LaneLost
from sweep.executors.in_process import InProcessExecutor
from tests.engines.packed.packing import ON_TENSORFLOW, Trained, weights_of
from tests.engines.training import config_of

LaneProgram: Any = current_backend().lane_program

LaneProgram: Any = current_backend().lane_program

WIDEST = [(4, 40)]
TOO_WIDE = 40
PROGRAMS: WeakLruCache[Any, Any] = WeakLruCache(9)


class OutOfMemory(RuntimeError):
    """As the backends' own errors begin."""

    def __init__(self) -> None:
        super().__init__("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes")


@pytest.fixture(autouse=True)
def short_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two minibatches a call, so that an epoch of six has three."""
    monkeypatch.setattr(packed, "IMAGES_PER_CALL", 32)


def config(seed: int, units: int = 6) -> TrialConfig:
    return config_of(
        {
            "data": {"num_train": 96, "num_validation": 40},
            "model": {"filters": [3], "dense_units": units, "dropout": 0.3, "batch_norm": True},
            "optimizer": {"name": "adam"},
            "training": {"epochs": 3, "batch_size": 16, "seed": seed},
        }
    )


def make_engine(lanes_per_call: int = 1) -> PackedEngine:
    engine = PackedEngine(4, 4, widest=WIDEST)
    engine._programs, engine._lanes_per_call = PROGRAMS, lanes_per_call
    return engine


def fill(engine: PackedEngine) -> None:
    for lane in range(4):
        engine.admit(lane, config(seed=lane, units=6 + lane))


def train(engine: PackedEngine) -> list[Trained]:
    """Three epochs of four lanes, each of which must give a record."""
    rounds = [engine.train_epoch() for _ in range(3)]
    assert all(isinstance(outcome, EpochRecord) for outcomes in rounds for outcome in outcomes.values()), rounds
    histories: Any = [[outcomes[lane] for outcomes in rounds] for lane in range(4)]
    return [Trained.of(history, weights_of(engine, lane)) for lane, history in enumerate(histories)]


@pytest.fixture(scope="module")
def undisturbed() -> list[Trained]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "IMAGES_PER_CALL", 32)
        engine = make_engine()
        fill(engine)
        return train(engine)


def width_of(lane: Any) -> int:
    return int((lane if ON_TENSORFLOW else lane.read()).widths[-1])


def fail_calls(monkeypatch: pytest.MonkeyPatch, engine: PackedEngine, kind: str, numbers: set[int]) -> list[int]:
    """Let these calls (1 is the first) of a kind raise, whichever lane they are for. Gives all calls of the kind."""
    (program,) = set(engine._programs.values())
    name = "_call" if ON_TENSORFLOW else {"training": "_train_steps", "validation": "_evaluation_rest"}[kind]
    compiled, calls = getattr(program, name), []

    def call(*given: Any) -> Any:
        if not ON_TENSORFLOW or kind == ("training" if given[3][0] < given[3][1] else "validation"):
            calls.append(len(calls) + 1)
            if len(calls) in numbers:
                raise OutOfMemory
        return compiled(*given)

    monkeypatch.setattr(program, name, call)
    return calls


TRAIN, VALIDATE = "training", "validation"
LACKS = {  # twelve training calls an epoch: three of each lane
    "before the first step": (TRAIN, {1, 2}),
    "in the middle of an epoch": (TRAIN, {3, 6, 8}),
    "in the second epoch, and while it is trained again": (TRAIN, {18, 20, 26}),
    "of every lane at once": (TRAIN, {13, 14, 15, 16}),
    "in validation": (VALIDATE, {2, 3, 6}),
}


@pytest.mark.slow
@pytest.mark.parametrize("when", LACKS)
def test_training_goes_on_with_fewer_lanes_at_once_and_every_record_stays_the_same(
    when: str, undisturbed: list[Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine()
    fill(engine)
    calls = fail_calls(monkeypatch, engine, *LACKS[when])
    assert train(engine) == undisturbed
    assert len(calls) > max(LACKS[when][1])
    assert engine._num_threads in (1, 2)


def test_a_lane_that_is_too_large_alone_is_lost_alone(
    undisturbed: list[Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For its cause out_of_memory; the lanes beside it train, and its own can be taken again."""
    train_lanes = LaneProgram.train_epoch

    def train_unless_too_wide(program: Any, lanes: Any, *given: Any) -> Any:
        if any(width_of(lane) == TOO_WIDE for lane in lanes):
            raise OutOfMemory
        return train_lanes(program, lanes, *given)

    monkeypatch.setattr(LaneProgram, "train_epoch", train_unless_too_wide)
    engine = make_engine()
    executor = InProcessExecutor(engine)
    for lane in range(3):
        executor.start(lane, config(seed=lane, units=6 + lane))
    executor.start(3, config(seed=9, units=TOO_WIDE))
    events = {event.lane: event for event in executor.wait()}
    lost = events.pop(3)
    assert isinstance(lost, LaneLost)
    assert lost.cause == Cause.OUT_OF_MEMORY
    assert all(isinstance(event, EpochDone) for event in events.values())
    executor.start(3, config(seed=3, units=9))
    for _ in range(3):
        events = {event.lane: event for event in executor.wait()}
    assert events[3].metrics.is_last  # type: ignore[union-attr]
    assert Trained.of([], weights_of(engine, 3)).weights == undisturbed[3].weights


def test_another_error_is_the_lanes_own_and_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    train_lanes, num_calls = LaneProgram.train_epoch, []

    def fail_for_one(program: Any, lanes: Any, *given: Any) -> Any:
        num_calls.append(1)
        if width_of(lanes[0]) == 7:
            raise ValueError("seven")
        return train_lanes(program, lanes, *given)

    monkeypatch.setattr(LaneProgram, "train_epoch", fail_for_one)
    engine = make_engine()
    fill(engine)
    outcomes: dict[int, Outcome] = engine.train_epoch()
    assert [type(outcomes[lane]) for lane in range(4)] == [EpochRecord, ValueError, EpochRecord, EpochRecord]
    assert len(num_calls) == 4


@pytest.mark.skipif(ON_TENSORFLOW, reason="lanes share no call on TensorFlow")
def test_groups_are_halved_until_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call for four lanes lacks memory, one for two does not; what was fitting is kept for the next epochs."""
    train_lanes, sizes = LaneProgram.train_epoch, []

    def train_if_it_fits(program: Any, lanes: Any, *given: Any) -> Any:
        sizes.append(len(lanes))
        if len(lanes) > 2:
            raise OutOfMemory
        return train_lanes(program, lanes, *given)

    in_pairs = make_engine(lanes_per_call=2)
    fill(in_pairs)
    expected = train(in_pairs)
    monkeypatch.setattr(LaneProgram, "train_epoch", train_if_it_fits)
    engine = make_engine(lanes_per_call=4)
    fill(engine)
    assert train(engine) == expected
    assert sizes == [4, *[2, 2] * 3]
