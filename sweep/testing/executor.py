"""What every executor has to fulfil, ours and a user's own.

from sweep.testing.executor import ExecutorContract
from sweep.testing.failing_engine import NAME

class TestMine(ExecutorContract):
    def make_executor(self, num_lanes):
        return MyExecutor(NAME, num_lanes)  # hosts `make_engine(NAME, num_lanes, ...)`
"""

from collections.abc import Iterator
from typing import Any

import pytest

from sweep.config.trial import TrialConfig
from sweep.engines.fake import fake_record
from sweep.errors import Cause
from sweep.executors.base import EpochDone, Executor, LaneLost


def make_config(epochs: int = 3, **model: Any) -> TrialConfig:
    """Return a config for the failing engine, which reads the dense units."""
    return TrialConfig.from_values({"training": {"epochs": epochs}, "model": model}, "test")


class ExecutorContract:
    """Inherit from it, and override `make_executor`."""

    def make_executor(self, num_lanes: int) -> Executor:
        """Return an executor with this number of lanes of `sweep.testing.failing_engine`."""
        raise NotImplementedError

    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        """Return the executor of a test, with two lanes."""
        executor = self.make_executor(2)
        yield executor
        executor.close()

    def test_each_epoch_of_each_lane_is_one_event(self, executor: Any) -> None:
        """In whatever order; the records are the engine's."""
        short, long = make_config(epochs=2), make_config(epochs=3)
        executor.start(0, short)
        executor.start(1, long)
        seen: dict[int, list[Any]] = {0: [], 1: []}
        while not (seen[1] and seen[1][-1].is_last):
            for event in executor.wait():
                assert isinstance(event, EpochDone)
                seen[event.lane].append(event.metrics)
                if event.metrics.is_last:
                    executor.stop(event.lane)
        assert seen == {
            0: [fake_record(short, epoch) for epoch in (1, 2)],
            1: [fake_record(long, epoch) for epoch in (1, 2, 3)],
        }

    def test_config_that_cannot_be_built_is_an_event_and_frees_the_lane(self, executor: Any) -> None:
        """Failures come as events, never as exceptions."""
        executor.start(0, make_config(dense_units=13))
        (event,) = executor.wait()
        assert isinstance(event, LaneLost)
        assert (event.lane, event.cause, event.error) == (0, Cause.BUILD_ERROR, "ValueError: thirteen")
        executor.start(0, make_config())
        assert isinstance(executor.wait()[0], EpochDone)

    def test_run_that_fails_is_lost_alone_and_frees_its_lane(self, executor: Any) -> None:
        """Its neighbours train on."""
        executor.start(0, make_config())
        executor.start(1, make_config(dense_units=14))
        executor.wait()
        done, lost = sorted(executor.wait(), key=lambda event: event.lane)
        assert done == EpochDone(0, fake_record(make_config(), 2))
        assert isinstance(lost, LaneLost)
        assert (lost.lane, lost.cause, lost.error) == (1, Cause.BUILD_ERROR, "ValueError: fourteen")
        executor.start(1, make_config())
        assert {event.lane: event.metrics.epoch for event in executor.wait()} == {0: 3, 1: 1}

    def test_engine_that_raises_loses_every_lane_once(self, executor: Any) -> None:
        """What an engine raises ends every live run."""
        executor.start(0, make_config())
        executor.start(1, make_config(dense_units=15))
        lost = executor.wait()
        assert {event.lane: event.error for event in lost} == dict.fromkeys((0, 1), "ValueError: fifteen")
        executor.start(0, make_config())
        (event,) = executor.wait()
        assert isinstance(event, EpochDone)

    def test_stopped_lane_is_silent_and_can_be_taken_again(self, executor: Any) -> None:
        """Nothing of the previous run is reported for the next one."""
        executor.start(0, make_config())
        executor.wait()
        executor.stop(0)
        executor.start(0, make_config(epochs=7))
        (event,) = executor.wait()
        assert event.metrics.epoch == 1
        assert not event.metrics.is_last

    def test_stopping_a_free_lane_is_harmless(self, executor: Any) -> None:
        """A tuner may free a lane twice."""
        executor.stop(1)
        executor.close()
