"""Limits, failures with their causes, foreign writers, several lanes."""

import sqlite3

import optuna
import pytest
from optuna.trial import TrialState
from sweeps import DyingExecutor, Killed, make_space, open_in, read_trials, run_sweep

from sweep.engines.base import EpochRecord
from sweep.engines.fake import FakeEngine
from sweep.errors import Interrupted
from sweep.executors.base import EpochDone, Event
from sweep.executors.in_process import InProcessExecutor
from sweep.storage import database_url


class FailingEngine(FakeEngine):
    """Raises in `admit` or `train_epoch` for the trials (counted from 0) it is told to fail."""

    def __init__(self, fail: dict[int, Exception], when: str) -> None:
        super().__init__()
        self._fail, self._when, self._admitted = fail, when, -1

    def admit(self, lane, config):
        self._admitted += 1
        self._raise_if("admit")
        super().admit(lane, config)

    def train_epoch(self, lanes=None):
        self._raise_if("train_epoch")
        return super().train_epoch(lanes)

    def _raise_if(self, when):
        if when == self._when and self._admitted in self._fail:
            error = self._fail[self._admitted]
            raise type(error)(*error.args)  # a new one: a raised error keeps its traceback


def states(folder):
    return [trial["state"] for trial in read_trials(folder)]


@pytest.mark.parametrize("num_lanes", [1, 3])
def test_ends_with_exactly_the_trials_asked_for_and_then_does_nothing(tmp_path, num_lanes):
    space = make_space("tpe", "median")
    run_sweep(tmp_path, space, 7, num_lanes)
    first = read_trials(tmp_path)
    assert [trial["number"] for trial in first] == list(range(7))
    run_sweep(tmp_path, space, 7, num_lanes)
    assert read_trials(tmp_path) == first
    run_sweep(tmp_path, space, 9, num_lanes)
    assert read_trials(tmp_path)[:7] == first
    assert len(first) + 2 == len(read_trials(tmp_path))


def test_score_is_that_of_the_kept_weights(tmp_path):
    class StoppingEngine(FakeEngine):
        def train_epoch(self, lanes=None):
            scores = [0.5, 0.9, 0.8]
            ((lane, (config, epoch)),) = self._runs.items()
            self._runs[lane] = (config, epoch + 1)
            score, is_last = scores[epoch], epoch == 2
            logs = {"loss": 1.0, "accuracy": score, "val_loss": 1.0, "val_accuracy": score}
            return {lane: EpochRecord(epoch + 1, logs, 0.0, is_last, 2 if is_last else 0)}

    run_sweep(tmp_path, make_space(), 1, executor=InProcessExecutor(StoppingEngine()))
    (trial,) = read_trials(tmp_path)
    assert trial["values"] == [0.9]
    assert trial["intermediate_values"] == {0: 0.5, 1: 0.9, 2: 0.8}
    assert [epoch["val_accuracy"] for epoch in trial["history"]] == [0.5, 0.9, 0.8]


def test_median_pruner_prunes_and_the_lane_is_refilled(tmp_path):
    run_sweep(tmp_path, make_space("random", "median"), 30, num_lanes=3)
    assert set(states(tmp_path)) == {"COMPLETE", "PRUNED"}


@pytest.mark.parametrize("when", ["admit", "train_epoch"])
@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("odd shape"), "build_error"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("RESOURCE_EXHAUSTED: 9 GB"), "out_of_memory"),
    ],
)
def test_failed_trial_names_its_cause_and_the_sweep_goes_on(tmp_path, when, error, cause):
    run_sweep(tmp_path, make_space(), 3, executor=InProcessExecutor(FailingEngine({1: error}, when)))
    assert states(tmp_path) == ["COMPLETE", "FAIL", "COMPLETE"]
    attrs = read_trials(tmp_path)[1]["user_attrs"]
    assert attrs["cause"] == cause
    assert attrs["error"].startswith(type(error).__name__)
    assert "_raise_if" in attrs["traceback"]


def test_diverged_trial_is_failed_as_nan(tmp_path):
    rate = {"key": "schedule.initial_learning_rate", "type": "float", "low": 0.01, "high": 100.0, "log": True}
    run_sweep(tmp_path, make_space(space={"initial_rate": rate}), 12, max_failures=12)
    trials = read_trials(tmp_path)
    diverged = [trial for trial in trials if trial["params"]["initial_rate"] >= 1]
    assert 3 < len(diverged) < 12
    assert all(trial["state"] == "FAIL" and trial["user_attrs"]["cause"] == "nan" for trial in diverged)
    assert {trial["state"] for trial in trials if trial not in diverged} == {"COMPLETE"}


class MeddlingExecutor(InProcessExecutor):
    """Calls `meddle` once, before the given wait."""

    def __init__(self, meddle, at_wait: int) -> None:
        super().__init__(FakeEngine())
        self._meddle, self._waits_left = meddle, at_wait

    def wait(self) -> list[Event]:
        self._waits_left -= 1
        if self._waits_left == 0:
            self._meddle()
        return super().wait()


def test_trial_told_by_others_while_it_runs_is_theirs(tmp_path, capsys):
    def meddle():
        optuna.load_study(study_name="study", storage=database_url(tmp_path)).tell(0, 0.123)

    run_sweep(tmp_path, make_space(), 2, executor=MeddlingExecutor(meddle, at_wait=4))
    trials = read_trials(tmp_path)
    assert [trial["state"] for trial in trials] == ["COMPLETE", "COMPLETE"]
    assert trials[0]["values"] == [0.123]
    assert "trial 0 was set to COMPLETE by another program" in capsys.readouterr().err


def test_trial_enqueued_while_another_runs_is_next_and_runs_once(tmp_path):
    def meddle():
        optuna.load_study(study_name="study", storage=database_url(tmp_path)).enqueue_trial({"momentum": 0.5})

    run_sweep(tmp_path, make_space(), 3, executor=MeddlingExecutor(meddle, at_wait=4))
    trials = read_trials(tmp_path)
    assert [trial["number"] for trial in trials] == [0, 1, 2]
    assert [trial["params"]["momentum"] == 0.5 for trial in trials] == [False, True, False]


def test_enqueued_nonsense_fails_that_trial_alone(tmp_path):
    space = make_space()
    open_in(tmp_path, space)
    outside = optuna.load_study(study_name="study", storage=database_url(tmp_path))
    outside.enqueue_trial({"filters_1": "many"})
    run_sweep(tmp_path, space, 2)
    assert states(tmp_path) == ["FAIL", "COMPLETE"]
    assert read_trials(tmp_path)[0]["user_attrs"]["cause"] == "build_error"
    assert "filters_1" in read_trials(tmp_path)[0]["user_attrs"]["error"]


def test_enqueued_nonsense_among_the_asks_of_a_round_leaves_the_others_their_lanes(tmp_path):
    space = make_space()
    open_in(tmp_path, space, num_lanes=3)
    outside = optuna.load_study(study_name="study", storage=database_url(tmp_path))
    for filters in (8, "many", 32):
        outside.enqueue_trial({"filters_1": filters})
    run_sweep(tmp_path, space, 5, num_lanes=3)
    assert states(tmp_path) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert [trial["params"].get("filters_1") for trial in read_trials(tmp_path)[:3]] == [8, None, 32]


@pytest.mark.slow
def test_a_parameter_of_another_kind_that_others_added_is_not_shown_to_the_sampler(tmp_path):
    """TPE would raise at each ask from then on."""
    space = make_space("tpe")
    open_in(tmp_path, space)
    outside = optuna.load_study(study_name="study", storage=database_url(tmp_path))
    kinds = optuna.distributions.CategoricalDistribution(["none", "much"])
    outside.add_trial(optuna.create_trial(params={"momentum": "much"}, distributions={"momentum": kinds}, value=0.5))
    run_sweep(tmp_path, space, 40)
    assert set(states(tmp_path)) <= {"COMPLETE", "PRUNED"}
    assert len(states(tmp_path)) == 40


def test_trials_told_by_others_before_they_are_repeated_are_left_alone(tmp_path, capsys):
    """Of three that stand at different epochs, those that were to be repeated first are told meanwhile."""
    space = make_space()

    class Meddling(InProcessExecutor):
        """Tells all but the last at the first repeated epoch."""

        def wait(self):
            study = optuna.load_study(study_name="study", storage=database_url(tmp_path))
            for trial in study.get_trials(states=(TrialState.RUNNING,))[:-1]:
                study.tell(trial.number, 0.123)
            return super().wait()

    with pytest.raises(Killed):
        run_sweep(tmp_path, space, 3, 3, DyingExecutor(3, 4))
    shorten_running_trials(tmp_path)
    run_sweep(tmp_path, space, 3, 3, Meddling(FakeEngine(3)))
    trials = read_trials(tmp_path)
    assert [trial["values"] for trial in trials[:2]] == [[0.123], [0.123]]
    assert len(trials[2]["history"]) == 9
    assert "trial 0 was set to COMPLETE by another program" in capsys.readouterr().err


def shorten_running_trials(folder):
    """As if trial n had been refilled n + 1 rounds later than the first; in a study from before there were digests."""
    with sqlite3.connect(folder / "sweep.db") as database:
        database.execute("DELETE FROM trial_intermediate_values WHERE step > 4 - trial_id")
        database.execute("DELETE FROM trial_system_attributes")  # with their digests, and that of the study
        database.execute("DELETE FROM study_system_attributes WHERE key = 'sweep:digest'")


def test_interruption_after_others_told_a_running_trial_is_in_order(tmp_path):
    class Told(InProcessExecutor):
        def wait(self):
            optuna.load_study(study_name="study", storage=database_url(tmp_path)).tell(0, 0.123)
            raise Interrupted(15)

    with pytest.raises(Interrupted):
        run_sweep(tmp_path, make_space(), 2, executor=Told(FakeEngine()))
    run_sweep(tmp_path, make_space(), 2)
    assert [trial["state"] for trial in read_trials(tmp_path)] == ["COMPLETE"] * 2


def test_trial_running_elsewhere_is_left_alone(tmp_path):
    space = make_space()
    open_in(tmp_path, space)
    outside = optuna.load_study(study_name="study", storage=database_url(tmp_path))
    theirs = outside.ask()
    run_sweep(tmp_path, space, 2)
    assert states(tmp_path) == ["RUNNING", "COMPLETE", "COMPLETE"]
    outside.tell(theirs, state=TrialState.FAIL)


def test_late_events_of_a_freed_lane_are_ignored(tmp_path):
    class Echo(InProcessExecutor):
        """Repeats each lane's last epoch of a pruned trial in the same batch of events."""

        def wait(self) -> list[Event]:
            events = super().wait()
            return events + [event for event in events if isinstance(event, EpochDone) and event.metrics.is_last]

    run_sweep(tmp_path, make_space(), 3, executor=Echo(FakeEngine()))
    assert states(tmp_path) == ["COMPLETE"] * 3
