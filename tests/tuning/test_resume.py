"""A resumed study equals the unbroken one, trial by trial."""

import itertools
import random

import pytest
from sweeps import DyingExecutor, Killed, make_space, read_trials, run_sweep

from sweep.engines.fake import FakeEngine
from sweep.engines.packed.engine import PackedEngine
from sweep.errors import Interrupted
from sweep.executors.in_process import InProcessExecutor

SAMPLERS = ("random", "tpe", "qmc", "grid")
LIFE = (10, 14)  # rounds; more than the 9 that may be repeated, as a trial that twice gets nowhere is failed
PRUNERS = ("median", "hyperband")
PACKED_SPACE = {
    "initial_rate": {"key": "schedule.initial_learning_rate", "type": "float", "low": 1e-4, "high": 1e-1, "log": True},
    "filters_1": {"key": "model.filters.1", "type": "int", "low": 1, "high": 5},
    "dropout": {"key": "model.dropout", "type": "categorical", "choices": [0.0, 0.4]},
}


def run_with_kills(folder, space, num_trials, num_lanes, seed, make_engine=FakeEngine):
    """Kill at random rounds until the study is done; returns the number of kills."""
    chooser = random.Random(seed)
    for num_kills in range(1000):
        executor = DyingExecutor(num_lanes, chooser.randint(*LIFE), make_engine(num_lanes))
        try:
            run_sweep(folder, space, num_trials, num_lanes, executor)
        except Killed:
            continue
        return num_kills
    raise AssertionError("the study never ended")


@pytest.mark.slow
@pytest.mark.parametrize("num_lanes", [pytest.param(1, marks=pytest.mark.exhaustive), 4])
@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [*itertools.product(SAMPLERS, PRUNERS), ("nsgaii", "median"), ("cmaes", "successive_halving")],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_killed_study_equals_unbroken(tmp_path, sampler, pruner, num_lanes):
    space = make_space(sampler, pruner)
    num_trials = 15 if sampler == "grid" else (25 if num_lanes == 1 else 50)  # TPE: well beyond its 10 start-up trials
    run_sweep(tmp_path / "unbroken", space, num_trials, num_lanes)
    num_kills = run_with_kills(tmp_path / "killed", space, num_trials, num_lanes, seed=1)
    assert num_kills >= 1
    assert read_trials(tmp_path / "killed") == read_trials(tmp_path / "unbroken")


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["median", "hyperband", "successive_halving"])
def test_killed_study_whose_history_is_bounded_equals_unbroken(tmp_path, monkeypatch, pruner):
    run_sweep(tmp_path / "unbounded", make_space("tpe", pruner), 50, 3)
    monkeypatch.setattr("sweep.tuning.bounded_history.MOST_RECENT", 12)
    monkeypatch.setattr("sweep.tuning.study.MOST_BEST", 4)
    run_sweep(tmp_path / "unbroken", make_space("tpe", pruner), 50, 3)
    assert run_with_kills(tmp_path / "killed", make_space("tpe", pruner), 50, 3, seed=3) >= 1
    assert read_trials(tmp_path / "killed") == read_trials(tmp_path / "unbroken") != read_trials(tmp_path / "unbounded")


@pytest.mark.slow
def test_killed_study_on_packed_lanes_equals_unbroken(tmp_path):
    """Real training: repeated trials stand beside other ones, on other lanes, in a process that compiles anew."""
    space = make_space(
        "tpe",
        "median",
        space=PACKED_SPACE,
        data={"num_train": 60, "num_validation": 60},
        optimizer={"name": "adam"},
        training={"epochs": 9, "batch_size": 25},
    )
    run_sweep(tmp_path / "unbroken", space, 24, 4, InProcessExecutor(PackedEngine(4, 2)))
    num_kills = run_with_kills(tmp_path / "killed", space, 24, 4, seed=2, make_engine=PackedEngine)
    assert num_kills >= 2
    trials = read_trials(tmp_path / "unbroken")
    assert read_trials(tmp_path / "killed") == trials
    assert {trial["state"] for trial in trials} == {"COMPLETE", "PRUNED"}


def test_trial_that_kills_its_process_twice_at_one_epoch_is_failed(tmp_path):
    space = make_space()
    for num_waits in (3, 3):  # three epochs; the same three, and death in the fourth again
        with pytest.raises(Killed):
            run_sweep(tmp_path, space, 2, executor=DyingExecutor(1, num_waits))
    run_sweep(tmp_path, space, 2)
    trials = read_trials(tmp_path)
    assert [trial["state"] for trial in trials] == ["FAIL", "COMPLETE"]
    assert trials[0]["user_attrs"]["cause"] == "killed"


def test_deaths_while_repeating_stored_epochs_are_not_held_against_the_trial(tmp_path):
    space = make_space()
    for num_waits in (6, 2, 3, 5):
        with pytest.raises(Killed):
            run_sweep(tmp_path, space, 1, executor=DyingExecutor(1, num_waits))
    run_sweep(tmp_path, space, 1)
    assert [trial["state"] for trial in read_trials(tmp_path)] == ["COMPLETE"]


def test_trial_that_makes_progress_between_deaths_goes_on(tmp_path):
    space = make_space()
    for num_waits in (3, 4, 5):
        with pytest.raises(Killed):
            run_sweep(tmp_path, space, 1, executor=DyingExecutor(1, num_waits))
    run_sweep(tmp_path, space, 1)
    assert [trial["state"] for trial in read_trials(tmp_path)] == ["COMPLETE"]


class EndedAtStart(InProcessExecutor):
    """Ends the process when its second trial starts."""

    def __init__(self, num_lanes, end):
        super().__init__(FakeEngine(num_lanes))
        self._end, self._num_started = end, 0

    def start(self, lane, config, **options):
        self._num_started += 1
        if self._num_started == 2:
            raise self._end
        super().start(lane, config, **options)


def test_trials_of_a_round_are_stored_before_the_first_of_them_starts(tmp_path):
    space = make_space("tpe", "median")
    with pytest.raises(Killed):
        run_sweep(tmp_path, space, 12, 4, EndedAtStart(4, Killed()))
    assert [trial["state"] for trial in read_trials(tmp_path)] == ["RUNNING"] * 4
    run_sweep(tmp_path, space, 12, 4)
    run_sweep(tmp_path / "unbroken", space, 12, 4)
    assert read_trials(tmp_path) == read_trials(tmp_path / "unbroken")


def test_interruption_between_the_starts_of_a_round_is_held_against_no_trial(tmp_path):
    space = make_space()
    with pytest.raises(Interrupted):
        run_sweep(tmp_path, space, 4, 4, EndedAtStart(4, Interrupted(15)))
    with pytest.raises(Killed):
        run_sweep(tmp_path, space, 4, 4, DyingExecutor(4, 0))
    run_sweep(tmp_path, space, 4, 4)
    assert [trial["state"] for trial in read_trials(tmp_path)] == ["COMPLETE"] * 4


def test_timeout_counts_across_resumes_and_leaves_the_trial_resumable(tmp_path):
    space = make_space()
    with pytest.raises(Killed):
        run_sweep(tmp_path, space, 2, executor=DyingExecutor(1, 4))
    run_sweep(tmp_path, space, 2, timeout_s=1e-9)
    assert [trial["state"] for trial in read_trials(tmp_path)] == ["RUNNING"]
    run_sweep(tmp_path / "unbroken", space, 2)
    run_sweep(tmp_path, space, 2)
    assert read_trials(tmp_path) == read_trials(tmp_path / "unbroken")
