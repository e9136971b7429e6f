"""While a sampler thinks, other programs use the database, and what they write to the study meanwhile is not lost."""

import sqlite3
from contextlib import closing, suppress

import optuna
import pytest
from sweeps import Killed, make_space, open_in, read_trials, run_sweep

from sweep.storage import database_url
from sweep.tuning import samplers


def thinking(monkeypatch, name, think):
    """Give the sampler of this name something that it does in each of its methods, named to it."""

    class Thinking(samplers.SAMPLERS[name]):
        def before_trial(self, *arguments):
            think("before_trial")
            super().before_trial(*arguments)

        def sample_relative(self, *arguments):
            think("sample_relative")
            return super().sample_relative(*arguments)

        def sample_independent(self, *arguments):
            think("sample_independent")
            return super().sample_independent(*arguments)

    monkeypatch.setitem(samplers.SAMPLERS, name, Thinking)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["random", "tpe"])
def test_another_study_of_the_file_is_written_without_waiting_while_a_sampler_thinks(name, tmp_path, monkeypatch):
    """By a connection that waits for nothing: it fails if anybody holds the lock."""
    events = []
    open_in(tmp_path, make_space(name)).write_behind.close()
    with closing(sqlite3.connect(tmp_path / "sweep.db", timeout=0, isolation_level=None)) as other:

        def think(method):
            other.execute("INSERT INTO studies (study_name) VALUES (?)", (f"other {len(events)}",))
            events.append(method)

        thinking(monkeypatch, name, think)
        run_sweep(tmp_path, make_space(name), 4, num_lanes=2)
    assert {*events} == {"before_trial", "sample_relative", "sample_independent"}
    monkeypatch.undo()
    run_sweep(tmp_path / "unbroken", make_space(name), 4, num_lanes=2)
    assert read_trials(tmp_path) == read_trials(tmp_path / "unbroken")


@pytest.mark.slow
def test_a_trial_that_is_enqueued_while_a_sampler_thinks_is_tried_next(tmp_path, monkeypatch):
    """As if it had been enqueued before: the trials that were thought of are asked again, by other numbers."""
    space, enqueued = make_space(), []
    open_in(tmp_path, space).write_behind.close()

    def think(method):
        study = optuna.load_study(study_name="study", storage=database_url(tmp_path))
        if len(study.trials) == 2 and not enqueued:
            study.enqueue_trial({"momentum": 0.25})
            enqueued.append(method)

    thinking(monkeypatch, "random", think)
    run_sweep(tmp_path, space, 6, num_lanes=2)
    monkeypatch.undo()
    trials = read_trials(tmp_path)
    assert [trial["number"] for trial in trials] == [*range(6)]
    assert all(trial["state"] == "COMPLETE" for trial in trials)
    assert trials[2]["params"]["momentum"] == 0.25
    run_sweep(tmp_path / "unbroken", space, 6, num_lanes=2)
    unbroken = read_trials(tmp_path / "unbroken")
    assert trials[:2] + trials[3:] == unbroken[:2] + unbroken[3:]


def test_a_sweep_goes_on_among_programs_that_never_stop_writing(tmp_path, monkeypatch):
    space = make_space()
    open_in(tmp_path, space).write_behind.close()
    with closing(sqlite3.connect(tmp_path / "sweep.db", timeout=0, isolation_level=None)) as other:

        def think(_):
            with suppress(sqlite3.OperationalError):  # at last they wait
                other.execute("INSERT INTO trials (number, study_id, state) SELECT count(*), 1, 'RUNNING' FROM trials")

        thinking(monkeypatch, "random", think)
        study = run_sweep(tmp_path, space, 3)
    ours = [trial for trial in study.trials if study.write_behind.is_ours(trial.number)]
    assert [trial.state.name for trial in ours] == ["COMPLETE"] * 3
    assert len(study.trials) > 6
    assert [trial["number"] for trial in read_trials(tmp_path)] == [*range(len(study.trials))]


@pytest.mark.slow
@pytest.mark.parametrize("num_asked", [0, 1, 3])
def test_a_sweep_that_dies_while_a_sampler_thinks_resumes_as_if_it_had_not(num_asked, tmp_path, monkeypatch):
    space = make_space("tpe", "median")
    asked = []

    def think(method):
        asked.append(method)
        if asked.count("before_trial") > num_asked and method == "sample_independent":
            raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):  # noqa: PT012
        thinking(patched, "tpe", think)
        run_sweep(tmp_path, space, 8, num_lanes=2)
    run_sweep(tmp_path, space, 8, num_lanes=2)
    run_sweep(tmp_path / "unbroken", space, 8, num_lanes=2)
    assert read_trials(tmp_path) == read_trials(tmp_path / "unbroken")


def test_trials_that_cannot_be_built_are_told_once_though_they_are_asked_twice(tmp_path, monkeypatch):
    space, shown = make_space(), []
    open_in(tmp_path, space).write_behind.close()
    outside = optuna.load_study(study_name="study", storage=database_url(tmp_path))
    outside.enqueue_trial({"momentum": "much"})

    def think(method):
        if not shown:
            shown.append(method)
            outside.enqueue_trial({"momentum": 0.25})

    thinking(monkeypatch, "random", think)
    run_sweep(tmp_path, space, 4)
    states = [trial["state"] for trial in read_trials(tmp_path)]
    assert states == ["FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
