"""Runs that are known beforehand are trained as many at once as there are lanes, in their order."""

import pytest

from sweep.config.trial import TrialConfig
from sweep.engines.fake import FakeEngine, fake_record
from sweep.errors import Cause, SweepError
from sweep.executors.base import LaneRetried
from sweep.executors.in_process import InProcessExecutor
from sweep.executors.run_queue import QueuedRun, RunQueue


class Crowd(FakeEngine):
    """Counts the lanes that train at once; the run of seed 3 fails in its second epoch."""

    most = 0

    def train_epoch(self, lanes=None):
        self.most = max(self.most, len(self._runs))
        outcomes = dict(super().train_epoch(lanes))
        for lane, metrics in outcomes.items():
            if self._runs[lane][0].training.seed == 3 and metrics.epoch == 2:
                outcomes[lane] = ValueError("too odd")
        return outcomes


def make_runs(count, num_epochs=None):
    configs = [TrialConfig.from_values({"training": {"epochs": 4, "seed": seed}}, "test") for seed in range(count)]
    return [QueuedRun(number, f"run {number}", config, num_epochs) for number, config in enumerate(configs)]


@pytest.mark.parametrize(("num_lanes", "max_lanes", "most"), [(1, None, 1), (4, None, 4), (4, 2, 2), (9, None, 6)])
def test_every_run_is_trained_whatever_the_lanes_and_one_that_fails_stops_no_other(num_lanes, max_lanes, most):
    engine, runs = Crowd(num_lanes), make_runs(6)
    ended = [
        run.key
        for changed in RunQueue(InProcessExecutor(engine), runs, max_lanes=max_lanes).rounds()
        for run in changed
        if run.is_over
    ]
    assert sorted(ended) == [*range(6)]
    assert engine.most == most
    for run in runs:
        expected = [fake_record(run.config, epoch) for epoch in range(1, 2 if run.key == 3 else 5)]
        assert run.history == expected
    with pytest.raises(SweepError, match="too odd"):
        runs[3].raise_if_lost()


def test_a_run_is_stopped_after_the_epochs_asked_for():
    runs = make_runs(3, num_epochs=2)
    engine = FakeEngine(2)
    for _ in RunQueue(InProcessExecutor(engine), runs).rounds():
        pass
    assert [len(run.history) for run in runs] == [2, 2, 2]
    assert engine.train_epoch() == {}


def test_a_check_that_raises_ends_it_before_the_next_round():
    class Stop(Exception):
        pass

    def stop():
        if runs[0].history:
            raise Stop

    runs = make_runs(1)
    with pytest.raises(Stop):
        list(RunQueue(InProcessExecutor(FakeEngine()), runs, check=stop).rounds())
    assert len(runs[0].history) == 1


def test_a_worker_that_died_is_said_and_its_run_is_repeated():
    class Dying(InProcessExecutor):
        is_hurt = False

        def wait(self, lanes=None):
            if self.is_hurt:
                return super().wait(lanes)
            self.is_hurt = True
            return [LaneRetried(0, 2, Cause.KILLED, "the worker died")]

    said, runs = [], make_runs(1)
    for _ in RunQueue(Dying(FakeEngine()), runs, notice=said.append).rounds():
        pass
    assert len(said) == 1
    assert "run 0" in said[0]
    assert "the worker died" in said[0]
    assert len(runs[0].history) == 4
