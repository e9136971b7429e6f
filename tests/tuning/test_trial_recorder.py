"""What is written of a trial, as plain Optuna reads it."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState
from sweeps import make_space, open_in

from sweep.engines.fake import FakeEngine
from sweep.errors import Cause
from sweep.executors.base import FailureContext
from sweep.storage import database_url
from sweep.tuning.failures import Failure
from sweep.tuning.reported import Reported
from sweep.tuning.running_trial import RunningTrial, num_starts
from sweep.tuning.trial_recorder import TrialRecorder


class Recording:
    """A trial of a study, with a recorder."""

    def __init__(self, folder: Path, num_runs: int = 1, *, counts_starts: bool = True) -> None:
        self.space = make_space(epochs=2)
        self.study = open_in(folder, self.space)
        self.recorder = TrialRecorder(self.study, Reported.of(self.space), counts_starts=counts_starts)
        with self.study.write_behind.transaction():
            trial = self.study.ask_next()
            config = self.space.resolve(self.study.suggest(trial), seed=0)
        self.running = RunningTrial(trial.number, (config,) * num_runs)

    def train_epochs(self, count: int) -> list[bool]:
        """Whether each reported a value."""
        engine = FakeEngine()
        reported = []
        for epoch in range(count):
            if epoch % 2 == 0:
                engine.evict(0)
                engine.admit(0, self.running.begin_run())
            metrics = engine.train_epoch()[0]
            self.running.add(metrics, self.space.metrics)
            with self.study.write_behind.transaction():
                reported.append(self.recorder.epoch_ended(self.running, metrics))
        return reported


def stored(folder: Path) -> FrozenTrial:
    return optuna.load_study(study_name="study", storage=database_url(folder)).trials[0]


def test_each_epoch_of_one_run_is_reported(tmp_path):
    assert Recording(tmp_path).train_epochs(2) == [True, True]
    assert [*stored(tmp_path).intermediate_values] == [0, 1]


def test_of_several_runs_each_ones_score_is_reported(tmp_path):
    assert Recording(tmp_path, num_runs=2).train_epochs(4) == [False, True, False, True]
    trial = stored(tmp_path)
    assert [*trial.intermediate_values] == [0, 1]
    assert trial.system_attrs["sweep:epochs"] == 4


def test_why_a_trial_failed_is_stored_with_what_it_had_trained(tmp_path):
    recording = Recording(tmp_path)
    recording.train_epochs(1)
    with recording.study.write_behind.transaction():
        recording.recorder.failed(0, Failure(Cause.KILLED, "died", where=FailureContext(2, "node7")))
        recording.recorder.ended(0, TrialState.FAIL, None, recording.running)
    trial = stored(tmp_path)
    assert trial.state == TrialState.FAIL
    assert {key: trial.user_attrs[key] for key in ("cause", "error", "attempt", "host")} == {
        "cause": "killed",
        "error": "died",
        "attempt": 2,
        "host": "node7",
    }
    assert "traceback" not in trial.user_attrs
    assert [epoch["epoch"] for epoch in trial.user_attrs["history"]] == [1]


@pytest.mark.parametrize(("counts_starts", "expected"), [(True, 2), (False, 1)])
def test_starts_of_an_epoch_are_counted_where_a_trial_may_kill_the_process(tmp_path, counts_starts, expected):
    recording = Recording(tmp_path, counts_starts=counts_starts)
    with recording.study.write_behind.transaction():
        recording.recorder.count_start(0, +1)
    assert num_starts(stored(tmp_path)) == expected
