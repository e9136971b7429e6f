"""A draft keeps nobody from the database, and is written whole or taken back whole."""

import sqlite3
from contextlib import closing

import optuna
import pytest
from optuna.trial import TrialState
from sweeps import GRID_SPACE, make_space, trial_values

from sweep.errors import Interrupted
from sweep.space.points import points_of
from sweep.storage import (
    STUDY_ID,
    ChangedMeanwhile,
    Wait,
    WriteBehindStorage,
    create_database,
    create_study,
    database_url,
)
from sweep.tuning.bounded_history import RecentStorage
from sweep.tuning.untried import UntriedPoints

RATE = {"rate": optuna.distributions.FloatDistribution(0.0, 1.0)}


@pytest.fixture
def url(tmp_path):
    url = database_url(tmp_path)
    create_database(url)
    create_study(url, "study", [optuna.study.StudyDirection.MAXIMIZE], {"made_by": "test"})
    return url


@pytest.fixture
def storage(url):
    """With a finished trial, a running one and one that waits."""
    outside(url).enqueue_trial({"rate": 0.75})
    storage = WriteBehindStorage(url, "study")
    study = optuna.load_study(study_name="study", storage=storage)
    with storage.transaction():
        study.ask(RATE)
        study.tell(study.ask(RATE), 0.25)
        study.ask(RATE)
    outside(url).enqueue_trial({"rate": 0.5})
    with storage.transaction():
        pass
    yield storage
    storage.close()


def outside(url):
    return optuna.load_study(study_name="study", storage=url)


def everything(storage):
    """What the memory holds, comparable."""
    study = optuna.load_study(study_name="study", storage=storage)
    return (
        [trial_values(trial) for trial in study.trials],
        (study.user_attrs, storage.get_study_system_attrs(STUDY_ID), study.best_trial.number),
        (storage.num_trials, {*storage.open_numbers}, [*storage.finished_numbers]),
        [storage.is_ours(number) for number in range(storage.num_trials)],
    )


def do_everything(storage):
    """Every kind of write that a body may do."""
    study = optuna.load_study(study_name="study", storage=storage)
    trial = study.ask({"rate": RATE["rate"], "new": RATE["rate"]})  # the one that waits
    trial.set_user_attr("seed", 1)
    trial.report(0.5, 0)
    study.tell(trial, 0.9)
    study.ask(RATE).set_user_attr("seed", 2)
    study.set_user_attr("elapsed_s", 1.0)
    study._storage.set_study_system_attr(STUDY_ID, "generation", 3)
    return study


def test_a_draft_is_written_as_a_transaction_is(storage, url):
    with storage.draft():
        do_everything(storage)
    assert not storage.is_out_of_step
    remembered = optuna.load_study(study_name="study", storage=storage).trials
    assert [trial_values(trial) for trial in outside(url).trials] == [trial_values(trial) for trial in remembered]
    assert len(remembered) == 5
    with storage.transaction() as changes:
        assert changes == []


def test_others_write_while_the_body_of_a_draft_runs(storage, tmp_path):
    """By a connection that waits for nothing."""
    with closing(sqlite3.connect(tmp_path / "sweep.db", timeout=0, isolation_level=None)) as other:
        with storage.draft():
            do_everything(storage)
            other.execute("INSERT INTO studies (study_name) VALUES ('other')")
        with storage.transaction(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("DELETE FROM studies WHERE study_name = 'other'")


CHANGES = {
    "a trial that was added": lambda study: study.ask(),
    "a trial that was enqueued": lambda study: study.enqueue_trial({"rate": 0.5}),
    "a trial of ours that was told": lambda study: study.tell(0, 0.5),
    "the waiting trial that was taken": lambda study: study.tell(study.ask(), 0.5),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_draft_is_taken_back_when_others_have_changed_the_study(change, storage, url):
    before = everything(storage)
    with pytest.raises(ChangedMeanwhile), storage.draft():  # noqa: PT012
        do_everything(storage)
        CHANGES[change](outside(url))
    assert everything(storage) == before
    with storage.transaction() as changes:
        assert len(changes) == 1
    with storage.draft():
        do_everything(storage)
    assert [trial_values(trial) for trial in outside(url).trials] == everything(storage)[0]
    assert [trial.number for trial in outside(url).trials] == [*range(storage.num_trials)]


def test_what_others_write_beside_the_trials_does_not_matter(storage, url):
    with storage.draft():
        do_everything(storage)
        outside(url).set_user_attr("note", "from outside")
        outside(url)._storage.set_trial_user_attr(1, "note", "on a trial")
    assert outside(url).user_attrs["elapsed_s"] == 1.0


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_exception_in_the_body_leaves_memory_and_database_as_they_were(error, storage, url):
    before, stored = everything(storage), [trial_values(trial) for trial in outside(url).trials]
    with pytest.raises(error), storage.draft():  # noqa: PT012
        do_everything(storage)
        raise error
    assert everything(storage) == before
    assert [trial_values(trial) for trial in outside(url).trials] == stored
    with storage.transaction():
        do_everything(storage)


def test_a_draft_that_is_interrupted_while_it_waits_is_taken_back(storage, tmp_path):
    before = everything(storage)

    def check():
        raise Interrupted(15)

    with closing(sqlite3.connect(tmp_path / "sweep.db", isolation_level=None)) as holder:
        with pytest.raises(Interrupted), storage.draft(Wait(check, lambda _: None)):  # noqa: PT012
            do_everything(storage)
            holder.execute("BEGIN IMMEDIATE")
        holder.execute("ROLLBACK")
    assert everything(storage) == before
    with storage.draft():
        do_everything(storage)


def test_who_follows_the_finished_trials_notices_that_some_were_taken_back(storage, url):
    space = make_space("grid", space=GRID_SPACE)
    followers = [
        lambda: [trial.number for trial in shown.get_all_trials(STUDY_ID, states=(TrialState.COMPLETE,))],
        lambda: untried.num_left(),
    ]
    shown, untried = RecentStorage(storage, 10), UntriedPoints(points_of(space), storage, 0, lists=True)
    before = [look() for look in followers]

    def tell(value):
        study = optuna.load_study(study_name="study", storage=storage)
        trial = study.ask()
        space.suggest(trial)
        study.tell(trial, value)
        return [look() for look in followers]

    with pytest.raises(ChangedMeanwhile), storage.draft():  # noqa: PT012
        tell(0.5)
        assert [look() for look in followers] != before
        outside(url).ask()
    assert [look() for look in followers] == before
    with storage.transaction():
        after = tell(0.5)
    shown, untried = RecentStorage(storage, 10), UntriedPoints(points_of(space), storage, 0, lists=True)
    assert [look() for look in followers] == after
