"""What every engine has to fulfil, ours and a user's own.

from sweep.testing.engine import EngineContract

class TestMine(EngineContract):
    def make_engine(self):
        return MyEngine(num_lanes=2)
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from sweep.config.function import RunConfig
from sweep.config.trial import TrialConfig
from sweep.engines.base import Engine, EpochRecord, record_of

MAX_EPOCHS = 1000  # more than any config of the tests has
FEW = {"num_train": 150, "num_validation": 280}  # digits, in minibatches that do not divide their number


def train_to_the_end(engine: Any, lane: int = 0) -> list[EpochRecord]:
    """Return the records of an admitted lane until there are no more; raise the error that ended its run."""
    history: list[EpochRecord] = []
    while outcomes := engine.train_epoch():
        assert len(history) < MAX_EPOCHS, "the engine continues to train after the record with is_last"
        history.append(record_of(lane, outcomes))
    return history


def without_seconds(history: Sequence[EpochRecord]) -> list[dict[str, Any]]:
    """Return the records without what the load of the machine changes."""
    return [
        {**{key: value for key, value in record.values().items() if key != "seconds"}, "best": record.best_epoch}
        for record in history
    ]


class EngineContract:
    """Inherit from it, and override `make_engine`; `make_config` too, if the engine takes other configs.

    Attributes:
        num_epochs: Of a run of `make_config()`.
        values: Names of the floats of an epoch's record.
    """

    num_epochs: ClassVar[int] = 3
    values: ClassVar[tuple[str, ...]] = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")

    def make_engine(self) -> Engine:
        """Return a new engine; lane 0 is used."""
        raise NotImplementedError

    def make_config(self, seed: int = 0, epochs: int = 3) -> RunConfig:
        """Return a config that it trains."""
        training = {"epochs": epochs, "seed": seed}
        return TrialConfig.from_values({"data": FEW, "model": {"filters": [4]}, "training": training}, "test")

    @pytest.fixture
    def engine(self) -> Engine:
        """Return the engine of a test."""
        return self.make_engine()

    def test_an_engine_without_runs_has_nothing_to_train(self, engine: Any) -> None:
        """An epoch of no lanes is no error."""
        assert engine.num_lanes >= 1
        assert engine.train_epoch() == {}

    def test_a_run_gives_one_record_an_epoch_and_then_none(self, engine: Any) -> None:
        """The last record says so, and names the epoch whose weights are kept."""
        engine.admit(0, self.make_config())
        history = train_to_the_end(engine)
        num_epochs = self.num_epochs
        assert [metrics.epoch for metrics in history] == [*range(1, num_epochs + 1)]
        assert [metrics.is_last for metrics in history] == [*[False] * (num_epochs - 1), True]
        assert [metrics.best_epoch for metrics in history] == [*[0] * (num_epochs - 1), num_epochs]
        assert engine.train_epoch() == {}

    def test_records_are_of_the_stated_kind(self, engine: Any) -> None:
        """Plain numbers, as they are stored."""
        engine.admit(0, self.make_config(epochs=1))
        (metrics,) = train_to_the_end(engine)
        assert {key: type(value) for key, value in metrics.values().items()} == {
            "epoch": int,
            **dict.fromkeys(self.values, float),
        }
        assert metrics.seconds >= 0
        assert not metrics.not_finite()

    def test_a_taken_lane_is_not_given_away(self, engine: Any) -> None:
        """Its run continues."""
        engine.admit(0, self.make_config())
        with pytest.raises(ValueError, match="lane 0 is not free"):
            engine.admit(0, self.make_config())
        assert len(train_to_the_end(engine)) == self.num_epochs

    def test_an_evicted_lane_trains_no_more_and_can_be_refilled_from_the_start(self, engine: Any) -> None:
        """Nothing of the run before is left in the next one."""
        engine.admit(0, self.make_config(epochs=2))
        whole = train_to_the_end(engine)
        engine.evict(0)
        engine.admit(0, self.make_config(epochs=5, seed=1))
        engine.train_epoch()
        engine.evict(0)
        assert engine.train_epoch() == {}
        engine.admit(0, self.make_config(epochs=2))
        assert without_seconds(train_to_the_end(engine)) == without_seconds(whole)

    def test_evicting_a_free_lane_does_nothing(self, engine: Any) -> None:
        """A tuner may free a lane twice."""
        engine.evict(0)
        engine.admit(0, self.make_config(epochs=1))
        engine.evict(0)
        engine.evict(0)
        assert engine.train_epoch() == {}

    def test_a_free_lane_has_no_model(self, engine: Any) -> None:
        """There is nothing to save."""
        with pytest.raises((ValueError, TypeError)):
            engine.model(0)
