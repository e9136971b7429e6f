"""`[[trials]]` and `try_defaults`: what a user already knows is tried first, and resumed exactly."""

import random

import pytest
from sweeps import RANDOM_SPACE, DyingExecutor, Killed, make_space, read_trials, run_sweep

from sweep.errors import SpaceError
from sweep.space.file import stored_space

LISTS = {"key": "model.filters", "type": "categorical", "choices": [[8], [8, 16]]}
TRIED = [{"l2": 1e-4, "momentum": 0.5}, {"num_convolutions": 2, "filters_1": 32, "filters_2": 24}]


def test_they_come_first_and_what_they_leave_out_is_sampled(tmp_path):
    run_sweep(tmp_path, make_space(trials=TRIED), 5)
    trials = read_trials(tmp_path)
    for trial, tried in zip(trials, TRIED, strict=False):
        assert trial["params"].items() >= tried.items()
        assert trial["params"].keys() >= {"l2", "momentum", "initial_rate", "filters_1"}
    assert len({trial["params"]["initial_rate"] for trial in trials}) == 5
    assert "fixed_params" not in trials[2]["system_attrs"]


def test_without_them_a_study_is_what_it_was(tmp_path):
    assert "trials" not in make_space().record()
    assert make_space().fingerprint == make_space(trials=[]).fingerprint != make_space(trials=TRIED).fingerprint


def test_the_defaults_are_the_values_that_the_keys_have_if_nothing_varies():
    space = {
        **RANDOM_SPACE,
        "filters": LISTS,
        "batch": {"key": "training.batch_size", "type": "int", "low": 1, "high": 4},
    }
    for name in ("filters_1", "filters_2", "num_convolutions"):
        del space[name]
    study = {"name": "study", "try_defaults": True}
    made = make_space(study=study, space=space)
    defaults, config = made.first_trials[0], make_space(space={}).resolve({}, 0)
    assert defaults["initial_rate"] == config.schedule.initial_learning_rate
    assert "batch" not in defaults  # the default is out of its range
    assert stored_space("study", made.record()).fingerprint == made.fingerprint


def test_a_list_among_choices_is_given_as_the_file_has_it(tmp_path):
    run_sweep(tmp_path, make_space(space={"filters": LISTS}, trials=[{"filters": [8, 16]}]), 1)
    assert read_trials(tmp_path)[0]["params"] == {"filters": "[8, 16]"}


@pytest.mark.parametrize("num_lanes", [1, 4])
def test_a_killed_study_equals_the_unbroken_one(tmp_path, num_lanes):
    space = make_space("tpe", "median", trials=TRIED * 3)
    run_sweep(tmp_path / "unbroken", space, 15, num_lanes)
    chooser, num_kills = random.Random(0), 0
    for _ in range(100):
        try:
            run_sweep(tmp_path / "killed", space, 15, num_lanes, DyingExecutor(num_lanes, chooser.randint(10, 14)))
            break
        except Killed:
            num_kills += 1
    assert num_kills >= 2
    assert read_trials(tmp_path / "killed") == read_trials(tmp_path / "unbroken")


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        ({"momentun": 0.1}, r"trials 1: 'momentun' is no parameter of \[space\]"),
        ({"l2": 1.0}, "trials 1: l2 = 1.0 is not in 1e-06 to 0.01"),
        ({"filters_2": 12}, "trials 1: filters_2 = 12 is not 8 and a multiple of the step 8"),
        ({"filters_1": "8"}, "trials 1: filters_1 = '8' is none of its 3 choices"),
        ({}, "trials 1: has no parameter"),
    ],
)
def test_a_mistake_is_one_line_with_the_fix(trial, said):
    with pytest.raises(SpaceError, match=said):
        make_space(trials=[trial])
