"""Every engine of ours fulfils the contract; what the fake one does beside."""

from typing import Any, ClassVar

from sweep.config.function import FunctionConfig, RunConfig
from sweep.config.trial import TrialConfig
from sweep.engines.base import Engine
from sweep.engines.fake import FakeEngine
from sweep.engines.function import FunctionEngine
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.sequential import SequentialEngine
from sweep.testing.engine import EngineContract, train_to_the_end, without_seconds
from tests.engines.training import config_of


class TestFake(EngineContract):
    def make_engine(self) -> Engine:
        return FakeEngine()


class TestFakeOfThreeLanes(EngineContract):
    def make_engine(self) -> Engine:
        return FakeEngine(num_lanes=3)


class TestSequential(EngineContract):
    def make_engine(self) -> Engine:
        return SequentialEngine()


class TestPacked(EngineContract):
    def make_engine(self) -> Engine:
        return PackedEngine()


class TestPackedOfThreeLanes(EngineContract):
    def make_engine(self) -> Engine:
        return PackedEngine(num_lanes=3, num_threads=2)


class TestFunction(EngineContract):
    num_epochs: ClassVar[int] = 1
    values: ClassVar[tuple[str, ...]] = ("value", "seconds")

    def make_engine(self) -> Engine:
        return FunctionEngine()

    def make_config(self, seed: int = 0, epochs: int = 3) -> RunConfig:
        return FunctionConfig(function="beale", params={"x": 3.0 - seed, "y": 1.0})


class TestFunctionOfThreeLanes(TestFunction):
    def make_engine(self) -> Engine:
        return FunctionEngine(num_lanes=3)


def config(**training: Any) -> TrialConfig:
    return config_of({"model": {"filters": [4]}, "training": {"epochs": 3, **training}})


def test_lanes_do_not_see_each_other() -> None:
    alone, together = FakeEngine(), FakeEngine(num_lanes=3)
    alone.admit(0, config(seed=5))
    expected = without_seconds(train_to_the_end(alone))
    together.admit(0, config(epochs=9))
    together.train_epoch()
    together.admit(2, config(seed=5))
    together.admit(1, config(epochs=2, seed=6))
    history = []
    for _ in range(3):
        records = together.train_epoch()
        history.append(records[2])
    assert without_seconds(history) == expected
    assert set(together.train_epoch()) == {0}


def test_the_fake_engine_scores_good_params_above_bad_ones_and_diverges_at_a_rate_of_one() -> None:
    """Samplers and pruners are tried out on it."""

    def last(rate: float) -> Any:
        engine = FakeEngine()
        engine.admit(0, config_of({"schedule": {"initial_rate": rate}, "training": {"epochs": 4}}))
        return train_to_the_end(engine)[-1]

    assert last(1e-3).logs["val_accuracy"] > last(1e-2).logs["val_accuracy"] > last(1e-1).logs["val_accuracy"] > 0
    assert last(1.0).not_finite()
