"""A sweep in which everything fails stops by itself, whatever the errors, the lanes and the restarts."""

import optuna
import pytest
from sweeps import make_space, open_in, read_trials, run_sweep

from sweep.engines.fake import FakeEngine
from sweep.errors import SweepStopped
from sweep.executors.in_process import InProcessExecutor
from sweep.storage import database_url

HOT = {"initial_rate": {"key": "schedule.initial_learning_rate", "type": "float", "low": 1e3, "high": 1e4}}


class FailingEngine(FakeEngine):
    """Cannot admit the runs (counted from 0) that are not healthy; each error is another one, or all are the same."""

    def __init__(self, healthy=(), num_lanes=1, same=False):
        super().__init__(num_lanes)
        self._healthy, self._same, self._admitted = healthy, same, -1

    def admit(self, lane, config):
        self._admitted += 1
        if self._admitted not in self._healthy:
            raise ValueError("odd" if self._same else f"kind {self._admitted}")
        super().admit(lane, config)


def states(folder):
    return [trial["state"] for trial in read_trials(folder)]


def test_failures_in_a_row_stop_the_sweep_whatever_their_texts(tmp_path):
    with pytest.raises(SweepStopped) as caught:
        run_sweep(tmp_path, make_space(), 6, executor=InProcessExecutor(FailingEngine()))
    assert states(tmp_path) == ["FAIL"] * 5
    line = str(caught.value)
    assert "\n" not in line
    for fact in ("trials 0 to 4", "kind 0", "kind 4", "--max-failures", "sweep show study"):
        assert fact in line


def test_trials_that_all_diverge_stop_the_sweep_and_the_causes_are_counted(tmp_path):
    with pytest.raises(SweepStopped, match=r"5 with nan .the loss is not finite after epoch 1"):
        run_sweep(tmp_path, make_space(space=HOT), 30)
    assert states(tmp_path) == ["FAIL"] * 5


@pytest.mark.parametrize("num_lanes", [1, 3])
def test_a_trial_that_works_ends_the_row(tmp_path, num_lanes):
    """On several lanes the failures end while their healthy neighbour trains; still they are not in a row."""
    engine = FailingEngine(healthy=range(0, 40, 3), num_lanes=num_lanes)
    run_sweep(tmp_path, make_space(), 12, num_lanes, InProcessExecutor(engine), max_failures=3)
    assert states(tmp_path) == ["COMPLETE", "FAIL", "FAIL"] * 4


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("max_failures", [2, 7])
def test_the_limit_is_the_users_whether_the_errors_are_the_same_or_not(tmp_path, max_failures, same):
    executor = InProcessExecutor(FailingEngine(same=same))
    with pytest.raises(SweepStopped):
        run_sweep(tmp_path, make_space(), 20, executor=executor, max_failures=max_failures)
    assert states(tmp_path) == ["FAIL"] * max_failures


def test_failures_in_a_row_count_across_resumes(tmp_path):
    run_sweep(tmp_path, make_space(), 3, executor=InProcessExecutor(FailingEngine()))
    with pytest.raises(SweepStopped, match="trials 0 to 4"):
        run_sweep(tmp_path, make_space(), 20, executor=InProcessExecutor(FailingEngine()))
    assert states(tmp_path) == ["FAIL"] * 5
    run_sweep(tmp_path, make_space(), 8)  # mended: what failed before does not keep the sweep from going on
    assert states(tmp_path) == ["FAIL"] * 5 + ["COMPLETE"] * 3


def test_same_error_three_times_in_a_row_stops_the_sweep(tmp_path):
    with pytest.raises(SweepStopped, match=r"trials 2 to 4 .*the same error: build_error .ValueError: odd"):
        run_sweep(tmp_path, make_space(), 20, executor=InProcessExecutor(FailingEngine(healthy=(0, 1), same=True)))
    assert states(tmp_path) == ["COMPLETE"] * 2 + ["FAIL"] * 3


def test_same_error_on_many_lanes_at_once_stops_the_sweep(tmp_path):
    class BrokenEngine(FakeEngine):
        def train_epoch(self, lanes=None):
            raise KeyError("x_train")

    with pytest.raises(SweepStopped, match="KeyError"):
        run_sweep(tmp_path, make_space(), 20, 4, InProcessExecutor(BrokenEngine(4)))
    assert states(tmp_path) == ["FAIL"] * 4


def test_what_others_told_or_enqueued_wrongly_is_no_failure_of_the_sweep(tmp_path):
    open_in(tmp_path, make_space())
    outside = optuna.load_study(study_name="study", storage=database_url(tmp_path))
    for _ in range(3):
        outside.add_trial(optuna.create_trial(state=optuna.trial.TrialState.FAIL))
    for _ in range(4):
        outside.enqueue_trial({"filters_1": "many"})
    run_sweep(tmp_path, make_space(), 9, max_failures=2)
    assert states(tmp_path) == ["FAIL"] * 7 + ["COMPLETE"] * 2
