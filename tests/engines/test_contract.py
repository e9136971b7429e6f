"""What every engine does, whatever it trains with."""

from collections.abc import Callable
from typing import Any

import pytest

from sweep.config.function import FunctionConfig, RunConfig
from sweep.config.trial import TrialConfig
from sweep.engines.fake import FakeEngine
from sweep.engines.function import FunctionEngine
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.sequential import SequentialEngine
from tests.engines.training import config_of, train_to_the_end, without_seconds

ENGINES: dict[str, Callable[[], Any]] = {
    "fake": FakeEngine,
    "fake of three lanes": lambda: FakeEngine(num_lanes=3),
    "sequential": SequentialEngine,
    "packed": PackedEngine,
    "packed of three lanes": lambda: PackedEngine(num_lanes=3, num_threads=2),
    "function": FunctionEngine,
    "function of three lanes": lambda: FunctionEngine(num_lanes=3),
}
VALUES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")


def config(**training: Any) -> TrialConfig:
    return config_of({"model": {"filters": [4]}, "training": {"epochs": 3, **training}})


def config_for(engine: Any, seed: int = 0, **training: Any) -> RunConfig:
    """Of the engine's kind: a function is called, whatever the epochs."""
    if isinstance(engine, FunctionEngine):
        return FunctionConfig(function="beale", params={"x": 3.0 - seed, "y": 1.0})
    return config(seed=seed, **training)


def num_epochs_of(engine: Any) -> int:
    """Of a run of `config_for(engine)`."""
    return 1 if isinstance(engine, FunctionEngine) else 3


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Any:
    return ENGINES[request.param]()


class TestEngine:
    """The `Engine` protocol."""

    def test_an_engine_without_runs_has_nothing_to_train(self, engine: Any) -> None:
        assert engine.num_lanes >= 1
        assert engine.train_epoch() == {}

    def test_a_run_gives_one_record_an_epoch_and_then_none(self, engine: Any) -> None:
        engine.admit(0, config_for(engine))
        history = train_to_the_end(engine)
        num_epochs = num_epochs_of(engine)
        assert [metrics.epoch for metrics in history] == [*range(1, num_epochs + 1)]
        assert [metrics.is_last for metrics in history] == [*[False] * (num_epochs - 1), True]
        assert [metrics.best_epoch for metrics in history] == [*[0] * (num_epochs - 1), num_epochs]
        assert engine.train_epoch() == {}

    def test_records_are_of_the_stated_kind(self, engine: Any) -> None:
        engine.admit(0, config_for(engine, epochs=1))
        (metrics,) = train_to_the_end(engine)
        assert {key: type(value) for key, value in metrics.values().items()} == {
            "epoch": int,
            **dict.fromkeys(("value", "seconds") if isinstance(engine, FunctionEngine) else VALUES, float),
        }
        assert metrics.seconds >= 0
        assert not metrics.not_finite()

    def test_a_taken_lane_is_not_given_away(self, engine: Any) -> None:
        engine.admit(0, config_for(engine))
        with pytest.raises(ValueError, match="lane 0 is not free"):
            engine.admit(0, config_for(engine))
        assert len(train_to_the_end(engine)) == num_epochs_of(engine)

    def test_an_evicted_lane_trains_no_more_and_can_be_refilled_from_the_start(self, engine: Any) -> None:
        engine.admit(0, config_for(engine, epochs=2))
        whole = train_to_the_end(engine)
        engine.evict(0)
        engine.admit(0, config_for(engine, epochs=5, seed=1))
        engine.train_epoch()
        engine.evict(0)
        assert engine.train_epoch() == {}
        engine.admit(0, config_for(engine, epochs=2))
        assert without_seconds(train_to_the_end(engine)) == without_seconds(whole)

    def test_evicting_a_free_lane_does_nothing(self, engine: Any) -> None:
        engine.evict(0)
        engine.admit(0, config_for(engine, epochs=1))
        engine.evict(0)
        engine.evict(0)
        assert engine.train_epoch() == {}

    def test_a_free_lane_has_no_model(self, engine: Any) -> None:
        with pytest.raises((ValueError, TypeError)):
            engine.model(0)


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
