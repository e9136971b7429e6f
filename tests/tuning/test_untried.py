"""No point of a finite space is trained twice, whatever the sampler; a space that is used up ends the study."""

import json
import sqlite3
from dataclasses import replace

import optuna
import pytest
from sweeps import GRID_SPACE, DyingExecutor, Killed, make_space, open_in, read_trials, run_sweep

from sweep.space.parameters import Float
from sweep.space.points import points_of
from sweep.space.space import Choice
from sweep.storage import database_url
from sweep.tuning.samplers import SAMPLERS

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
CONDITIONAL_SPACE = {  # 2 + 2 * 3 * 2 = 14 points; the product of all values is 24
    "optimizer": {"key": "optimizer.name", "type": "categorical", "choices": ["adam", "sgd"]},
    "filters_1": {"key": "model.filters.1", "type": "categorical", "choices": [8, 16]},
    "momentum": {
        **{"key": "optimizer.momentum", "type": "float", "low": 0.1, "high": 0.5, "step": 0.2},
        "when": {"optimizer": "sgd"},
    },
    "nesterov": {
        **{"key": "optimizer.nesterov", "type": "categorical", "choices": [False, True]},
        "when": {"optimizer": "sgd"},
    },
}
ALL = sorted(set(SAMPLERS) - {"gp"})  # which needs torch


def finite_space(sampler):
    options = {"fixed_params": {"filters_1": 8}} if sampler == "partial_fixed" else {}
    return replace(make_space(space=CONDITIONAL_SPACE, epochs=1), sampler=Choice(name=sampler, options=options))


def points(folder):
    return [json.dumps(trial["params"], sort_keys=True) for trial in read_trials(folder)]


@pytest.mark.parametrize("sampler", ALL)
def test_a_finite_space_is_used_up_each_point_once(tmp_path, sampler):
    space = finite_space(sampler)
    expected = 7 if sampler == "partial_fixed" else 14
    for num_trials in (6, 100):
        run_sweep(tmp_path, space, num_trials, num_lanes=5)
    assert len(points(tmp_path)) == len(set(points(tmp_path))) == expected
    assert points_of(space).count == expected


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "tpe", "grid"])
def test_a_sweep_that_is_killed_and_resumed_takes_the_points_of_the_unbroken_one(tmp_path, sampler):
    space = finite_space(sampler)
    run_sweep(tmp_path / "unbroken", space, 100, 3)
    for num_waits in (1, 2):
        with pytest.raises(Killed):
            run_sweep(tmp_path / "killed", space, 100, 3, DyingExecutor(3, num_waits))
    run_sweep(tmp_path / "killed", space, 100, 3)
    assert read_trials(tmp_path / "killed") == read_trials(tmp_path / "unbroken")


def test_enqueued_points_are_trained_as_often_as_the_user_says_and_not_again(tmp_path):
    space = make_space(space=GRID_SPACE, epochs=1)
    open_in(tmp_path, space)
    outside = optuna.load_study(study_name="study", storage=database_url(tmp_path))
    for _ in range(3):
        outside.enqueue_trial({"momentum": 0.4, "filters_1": 16})
    run_sweep(tmp_path, space, 100)
    assert len(points(tmp_path)) == 15 + 2
    outside.enqueue_trial({"momentum": 0.4, "filters_1": 16})
    run_sweep(tmp_path, space, 100)
    assert len(points(tmp_path)) == 15 + 3
    assert len(set(points(tmp_path))) == 15


def test_a_grid_leaves_the_rest_of_an_enqueued_trial_open(tmp_path):
    space = make_space("grid")
    open_in(tmp_path, space)
    optuna.load_study(study_name="study", storage=database_url(tmp_path)).enqueue_trial({"momentum": 0.4})
    run_sweep(tmp_path, space, 2)
    assert [trial["state"] for trial in read_trials(tmp_path)] == ["COMPLETE"] * 2


def test_a_grid_takes_as_many_values_of_a_range_as_asked(tmp_path):
    space = {
        "momentum": {"key": "optimizer.momentum", "type": "float", "low": 0.0, "high": 0.9},
        "l2": {"key": "regularizer.l2", "type": "float", "low": 1e-6, "high": 1e-2, "log": True},
        "filters_1": {"key": "model.filters.1", "type": "categorical", "choices": [8, 16]},
    }
    made = replace(make_space(space=space, epochs=1), sampler=Choice(name="grid", options={"num_values": 3}))
    for _ in range(2):
        run_sweep(tmp_path, made, 100, num_lanes=3)
        params = [trial["params"] for trial in read_trials(tmp_path)]
        assert len(params) == len(set(points(tmp_path))) == 18
    assert sorted({one["momentum"] for one in params}) == pytest.approx([0.0, 0.45, 0.9])
    assert sorted({one["l2"] for one in params}) == pytest.approx([1e-6, 1e-4, 1e-2])


def test_a_space_in_which_nothing_varies_is_trained_as_often_as_asked(tmp_path):
    run_sweep(tmp_path, make_space(space={}), 3)
    assert len(read_trials(tmp_path)) == 3


def test_a_float_on_a_grid_is_found_as_optuna_rounds_it():
    parameter = Float(type="float", low=0.1, high=0.9, step=0.1)
    assert [parameter.position(0.1 + step * 0.1) for step in range(9)] == [*range(9)]
    assert [parameter.position(value) for value in (0.15, 1.0, 0.0, "a", float("nan"))] == [None] * 5


@pytest.mark.parametrize(("sampler", "num_trials"), [("random", 30), ("grid", 24)])
def test_a_study_from_before_keeps_its_sequence(tmp_path, sampler, num_trials):
    """It repeats points, and Optuna's grid has one for each combination, be it asked for or not."""
    space = finite_space(sampler)
    open_in(tmp_path, space, first_step=1, distinct=False)
    forget_settings(tmp_path, "first_step", "distinct")
    outside = optuna.load_study(study_name="study", storage=database_url(tmp_path))
    outside.add_trial(optuna.create_trial(state=optuna.trial.TrialState.FAIL))  # one trial, so that settings stay
    run_sweep(tmp_path, space, 30)
    trials = read_trials(tmp_path)[1:]
    assert len(trials) == num_trials - 1
    assert len({*points(tmp_path)[1:]}) < num_trials - 1
    assert all(sorted(trial["intermediate_values"]) == [1] for trial in trials)


def forget_settings(folder, *keys):
    with sqlite3.connect(folder / "sweep.db") as database:
        where = "key = 'sweep'"
        (text,) = database.execute(f"SELECT value_json FROM study_user_attributes WHERE {where}").fetchone()
        settings = {key: value for key, value in json.loads(text).items() if key not in keys}
        database.execute(f"UPDATE study_user_attributes SET value_json = ? WHERE {where}", (json.dumps(settings),))
        database.execute("DELETE FROM study_system_attributes WHERE key = 'sweep:digest'")
