"""Samplers and pruners of a long study are given its best and latest trials (`test_resume`: a resumed one the same)."""

import optuna
import pytest
from optuna.trial import TrialState
from sweeps import make_space, run_sweep

from sweep.storage import STUDY_ID, database_url
from sweep.tuning import bounded_history as history
from sweep.tuning.bounded_history import RecentStorage


@pytest.fixture
def few(monkeypatch):
    """So few trials are seen that 40 are many."""
    monkeypatch.setattr(history, "MOST_RECENT", 8)
    monkeypatch.setattr("sweep.tuning.study.MOST_BEST", 3)


def seen(study, most_best, states=None):
    trials = RecentStorage(study.write_behind, most_best).get_all_trials(STUDY_ID, states=states)
    return [trial.number for trial in trials]


@pytest.mark.slow
def test_the_latest_the_best_and_the_unfinished_are_seen(few, tmp_path):
    study = run_sweep(tmp_path, make_space("random", "median"), 40)
    with study.write_behind.transaction():
        study.ask_next()
    complete = study.frozen_trials(TrialState.COMPLETE)
    best = sorted(complete, key=lambda trial: -trial.value)[:6]
    latest = {*range(32, 40)}
    assert seen(study, 0) == [*range(32, 41)]
    assert seen(study, 6) == sorted(latest | {trial.number for trial in best} | {40})
    assert seen(study, 0, (TrialState.RUNNING,)) == [40]
    assert not latest >= {trial.number for trial in best}  # else this test would show nothing


def test_nothing_is_left_out_of_a_short_study(tmp_path):
    study = run_sweep(tmp_path, make_space("random", "median"), 30)
    assert seen(study, 3) == [*range(30)]


@pytest.mark.slow
def test_each_objective_has_its_best(few, tmp_path):
    objectives = {"name": "study", "metrics": ["val_accuracy", "loss"], "directions": ["maximize", "maximize"]}
    study = run_sweep(tmp_path, make_space("random", study=objectives), 40)
    by_loss = sorted(study.frozen_trials(), key=lambda trial: -trial.values[1])[:3]
    assert {trial.number for trial in by_loss} <= {*seen(study, 3)}


def test_what_others_told_meanwhile_is_seen(few, tmp_path):
    study = run_sweep(tmp_path, make_space("random", "none"), 20)
    view = RecentStorage(study.write_behind, 0)
    assert [trial.number for trial in view.get_all_trials(STUDY_ID)] == [*range(12, 20)]
    outside = optuna.load_study(study_name="study", storage=database_url(tmp_path))
    for number in range(20, 24):
        outside.add_trial(optuna.create_trial(value=number / 100))
    with study.write_behind.transaction():
        pass
    assert [trial.number for trial in view.get_all_trials(STUDY_ID)] == [*range(16, 24)]
