"""The rows are Optuna's own, and what others write is noticed and never overwritten."""

import math
import re
import sqlite3
import threading
import time
from contextlib import closing

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sweeps import make_space, open_in, read_trials, run_sweep, trial_values

from sweep.errors import Interrupted, StudyError
from sweep.storage import Wait, WriteBehindStorage, create_database, create_study, database_url, read_study
from sweep.storage.writer import MARK

TABLES = {  # table -> columns that must be equal; times and row ids of attributes differ
    "studies": "study_id, study_name",
    "study_directions": "study_id, objective, direction",
    "study_user_attributes": "study_id, key, value_json",
    "study_system_attributes": "study_id, key, value_json",
    "trials": "trial_id, number, study_id, state, datetime_start IS NULL, datetime_complete IS NULL",
    "trial_params": "trial_id, param_name, param_value, distribution_json",
    "trial_values": "trial_id, objective, value, value_type",
    "trial_intermediate_values": "trial_id, step, intermediate_value, intermediate_value_type",
    "trial_user_attributes": "trial_id, key, value_json",
    "trial_system_attributes": "trial_id, key, value_json",
    "trial_heartbeats": "trial_id",
    "version_info": "schema_version",
}


def read_rows(path):
    """Every table of Optuna's schema, sorted."""
    with sqlite3.connect(path) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert names - {"alembic_version"} == set(TABLES)
        return {
            name: sorted(connection.execute(f"SELECT {columns} FROM {name}").fetchall(), key=repr)
            for name, columns in TABLES.items()
        }


def without_mark(tables):
    """What no other program would write: which transaction was the last."""
    attrs = [row for row in tables["study_system_attributes"] if row[1] != MARK]
    return {**tables, "study_system_attributes": attrs}


def write_everything(study, transaction):
    """Every kind of write that Optuna has, each once or twice."""
    for number in range(4):
        with transaction():
            trial = study.ask()
            trial.suggest_float("rate", 1e-4, 1e-1, log=True)
            trial.suggest_int("units", 8, 64, step=8)
            trial.suggest_categorical("kind", ["a", "b", None])
        with transaction():
            for step, value in enumerate((0.5, math.nan, math.inf, -math.inf)):
                trial.report(value, step)
            trial.set_user_attr("note", {"text": "Zürich", "list": [1, 2.5, None]})
            trial.set_user_attr("note", "replaced")
            trial.study._storage.set_trial_system_attr(trial._trial_id, "rung", number)
        with transaction():
            outcome = [(math.inf, None), (0.25, None), (None, TrialState.PRUNED), (None, TrialState.FAIL)][number]
            study.tell(trial, outcome[0], state=outcome[1])
    with transaction():
        study.set_user_attr("done", True)
        study._storage.set_study_system_attr(study._study_id, "generation", [1, 2])


@pytest.fixture
def url(tmp_path):
    url = database_url(tmp_path)
    create_database(url)
    create_study(url, "study", [optuna.study.StudyDirection.MAXIMIZE], {"made_by": "test"})
    return url


def test_rows_equal_those_of_optunas_own_storage(tmp_path, url):
    from contextlib import nullcontext

    storage = WriteBehindStorage(url, "study")
    ours = optuna.load_study(study_name="study", storage=storage, sampler=optuna.samplers.RandomSampler(seed=3))
    write_everything(ours, storage.transaction)

    other = f"sqlite:///{tmp_path / 'optuna.db'}"
    sampler = optuna.samplers.RandomSampler(seed=3)
    theirs = optuna.create_study(study_name="study", storage=other, direction="maximize", sampler=sampler)
    theirs.set_user_attr("made_by", "test")
    write_everything(theirs, nullcontext)

    assert without_mark(read_rows(tmp_path / "sweep.db")) == read_rows(tmp_path / "optuna.db")


def test_plain_optuna_reads_back_what_memory_holds(tmp_path):
    study = run_sweep(tmp_path, make_space("tpe", "median"), 20)
    read = optuna.load_study(study_name="study", storage=database_url(tmp_path)).trials
    assert [trial_values(trial) for trial in read] == [trial_values(trial) for trial in study.trials]
    assert [t.datetime_complete for t in read] == [t.datetime_complete for t in study.trials]
    assert [t.datetime_start for t in read] == [t.datetime_start for t in study.trials]


def test_failed_body_writes_nothing(url):
    storage = WriteBehindStorage(url, "study")
    study = optuna.load_study(study_name="study", storage=storage)
    with pytest.raises(ZeroDivisionError), storage.transaction():
        study.ask().set_user_attr("ratio", 1 / 0)
    assert optuna.load_study(study_name="study", storage=url).trials == []
    with pytest.raises(StudyError, match="run the same command to resume"), storage.transaction():
        pass


def test_enqueued_trials_run_once_with_their_own_numbers(tmp_path):
    space = make_space()
    open_in(tmp_path, space)
    outside = optuna.load_study(study_name="study", storage=database_url(tmp_path))
    for momentum in (0.1, 0.2, 0.3):
        outside.enqueue_trial({"momentum": momentum})
    run_sweep(tmp_path, space, 6, num_lanes=1)
    trials = read_trials(tmp_path)
    assert [trial["number"] for trial in trials] == list(range(6))
    assert [trial["params"]["momentum"] for trial in trials[:3]] == [0.1, 0.2, 0.3]
    assert all(trial["state"] == "COMPLETE" for trial in trials)


def test_trials_created_by_others_between_transactions_keep_their_numbers(url):
    storage = WriteBehindStorage(url, "study")
    study = optuna.load_study(study_name="study", storage=storage)
    outside = optuna.load_study(study_name="study", storage=url)
    with storage.transaction():
        study.ask()
    outside.ask()
    with storage.transaction() as changes:
        ours = study.ask()
    assert [(change.number, change.is_new) for change in changes] == [(1, True)]
    assert ours.number == 2
    assert [trial.number for trial in outside.trials] == [0, 1, 2]


def test_trial_told_by_others_is_not_overwritten(url):
    storage = WriteBehindStorage(url, "study")
    study = optuna.load_study(study_name="study", storage=storage)
    with storage.transaction():
        study.ask()
    outside = optuna.load_study(study_name="study", storage=url)
    outside.tell(0, 0.75)
    with storage.transaction() as changes:
        assert [(change.number, change.is_new, change.state) for change in changes] == [(0, False, TrialState.COMPLETE)]
    with pytest.raises(ValueError, match="COMPLETE"), storage.transaction():
        study.tell(0, 0.1)
    assert outside.trials[0].value == 0.75


@pytest.mark.parametrize("outcome", [(0.25, TrialState.COMPLETE), (None, TrialState.FAIL)])
def test_others_do_not_tell_over_a_trial_that_was_told_after_they_looked(tmp_path, url, outcome, monkeypatch):
    """Plain Optuna looks at the state and writes outside of one transaction."""
    storage = WriteBehindStorage(url, "study")
    study = optuna.load_study(study_name="study", storage=storage)
    with storage.transaction():
        study.ask()
    outside = optuna.load_study(study_name="study", storage=url)
    look = RDBStorage.check_trial_is_updatable

    def look_and_lose_time(self, trial_id, state):
        look(self, trial_id, state)
        monkeypatch.undo()
        with storage.transaction():
            study.tell(0, 0.75)

    monkeypatch.setattr(RDBStorage, "check_trial_is_updatable", look_and_lose_time)
    outside.tell(0, *outcome)
    (trial,) = optuna.load_study(study_name="study", storage=url).trials
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.75)
    read_study(url, "study")


def test_deleted_study_is_said_and_nothing_is_written(tmp_path, url):
    storage = WriteBehindStorage(url, "study")
    study = optuna.load_study(study_name="study", storage=storage)
    optuna.delete_study(study_name="study", storage=url)
    with pytest.raises(StudyError, match="deleted by another program"), storage.transaction():
        study.ask()
    assert read_rows(tmp_path / "sweep.db")["trials"] == []


def test_deleted_finished_trial_is_said_and_nothing_more_is_written(tmp_path, url):
    storage = WriteBehindStorage(url, "study")
    study = optuna.load_study(study_name="study", storage=storage)
    for _ in range(2):
        with storage.transaction():
            study.tell(study.ask(), 0.5)
    with sqlite3.connect(tmp_path / "sweep.db") as connection:
        connection.execute("DELETE FROM trials WHERE number = 0")
    with pytest.raises(StudyError, match="finished trial was deleted by another program"), storage.transaction():
        study.ask()
    assert len(read_rows(tmp_path / "sweep.db")["trials"]) == 1


def test_database_removed_while_the_sweep_runs_is_noticed(tmp_path, url):
    storage = WriteBehindStorage(url, "study")
    (tmp_path / "sweep.db").unlink()
    with pytest.raises(StudyError, match="removed or replaced"), storage.transaction():
        pass


@pytest.mark.slow
def test_database_set_back_under_a_sweep_is_noticed_and_the_same_command_resumes(tmp_path):
    space = make_space("tpe", "median")
    study = run_sweep(tmp_path, space, 4)
    with closing(sqlite3.connect(tmp_path / "sweep.db")) as now, closing(sqlite3.connect(":memory:")) as older:
        now.backup(older)
        with study.write_behind.transaction():
            study.tell_number(study.ask_next().number, TrialState.FAIL)
        older.backup(now)
    for _ in range(2):
        with pytest.raises(StudyError, match=r"older than what was reported.* same command"):  # noqa: SIM117
            with study.write_behind.transaction():
                study.ask_next()
    study.write_behind.close()
    run_sweep(tmp_path, space, 8)
    run_sweep(tmp_path / "unbroken", space, 8)
    assert read_trials(tmp_path) == read_trials(tmp_path / "unbroken")


def test_numbers_that_another_program_spoilt_are_refused_of_ours_and_set_aside_of_its_own(tmp_path):
    study = open_in(tmp_path, make_space())
    outside = optuna.load_study(study_name="study", storage=database_url(tmp_path))
    outside.ask()
    outside.ask()
    with sqlite3.connect(tmp_path / "sweep.db") as connection:
        connection.execute("UPDATE trials SET number = 0")
    with study.write_behind.transaction() as changes:
        assert [(change.number, change.problem is not None) for change in changes] == [(0, False), (1, True)]
        ours = study.ask_next()
        ours.set_user_attr("seed", 1)
    assert ours.number == 2
    with sqlite3.connect(tmp_path / "sweep.db") as connection:
        connection.execute("UPDATE trials SET number = 0")
    with pytest.raises(StudyError, match="trial 0 of study study"):
        WriteBehindStorage(database_url(tmp_path), "study")


def test_after_a_resume_other_distributions_are_refused_as_optunas_storages_refuse_them(url):
    for distribution in (["a", "b"], ["a", "c"]):
        storage = WriteBehindStorage(url, "study")
        study = optuna.load_study(study_name="study", storage=storage)
        with storage.transaction():
            trial = study.ask()
            if distribution == ["a", "b"]:
                trial.suggest_categorical("kind", distribution)
                trial.suggest_float("rate", 0.1, 1.0)
            else:
                with pytest.raises(ValueError, match="CategoricalDistribution does not support dynamic value space"):
                    trial.suggest_categorical("kind", distribution)
                with pytest.raises(ValueError, match="different distribution kind"):
                    trial.suggest_int("rate", 1, 2)
                trial.suggest_float("rate", 0.5, 2.0)  # as a study may
        storage.close()
    (_, second) = optuna.load_study(study_name="study", storage=url).trials
    assert [*second.params] == ["rate"]


@pytest.mark.slow
def test_waits_while_another_program_holds_the_write_lock_and_says_so_once(tmp_path, url):
    said = []
    storage = WriteBehindStorage(url, "study")
    study = optuna.load_study(study_name="study", storage=storage)
    holder = sqlite3.connect(tmp_path / "sweep.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    threading.Thread(target=lambda: (time.sleep(3.5), holder.execute("ROLLBACK"))).start()
    with storage.transaction(Wait(notice=said.append)):
        study.ask()
    assert len(optuna.load_study(study_name="study", storage=url).trials) == 1
    holder.close()
    assert said[0] == "waiting: another program has locked the database"
    assert re.fullmatch(r"the database is free again after \d+ s; continuing", said[1])
    assert len(said) == 2


@pytest.mark.slow
def test_a_wait_ends_when_its_check_raises_and_the_storage_goes_on_afterwards(tmp_path, url):
    storage = WriteBehindStorage(url, "study")
    study = optuna.load_study(study_name="study", storage=storage)

    def check():
        raise Interrupted(15)

    with sqlite3.connect(tmp_path / "sweep.db", isolation_level=None) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Interrupted), storage.transaction(Wait(check)):
            study.ask()
        with pytest.raises(StudyError, match="keeps it locked"), storage.transaction(Wait(at_most_s=0)):
            study.ask()
        holder.execute("ROLLBACK")
    with storage.transaction():
        study.ask()
    assert len(optuna.load_study(study_name="study", storage=url).trials) == 1


def test_disk_that_is_full_is_said_and_leaves_the_study_as_it_was(tmp_path, url):
    """SQLite's own limit on pages raises what a full disk raises."""
    storage = WriteBehindStorage(url, "study")
    study = optuna.load_study(study_name="study", storage=storage)
    with storage.transaction():
        study.ask()
    before = read_rows(tmp_path / "sweep.db")
    with storage._writer._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # as many as there are
    with pytest.raises(StudyError, match="the disk is full; free some space, then run the same command to resume"):  # noqa: SIM117
        with storage.transaction():
            study.set_user_attr("big", "x" * 10**6)
    assert storage.is_out_of_step
    storage.close()
    assert read_rows(tmp_path / "sweep.db") == before
    assert WriteBehindStorage(url, "study").num_trials == 1


def test_readers_are_not_blocked_by_a_writer(tmp_path, url):
    storage = WriteBehindStorage(url, "study")
    study = optuna.load_study(study_name="study", storage=storage)
    with storage.transaction():
        study.ask()
        assert optuna.load_study(study_name="study", storage=url).trials == []
    assert len(optuna.load_study(study_name="study", storage=url).trials) == 1
