"""Sweeps of plain Optuna objectives, whose suggest methods are answered by the study."""

import optuna
import own_loops
import pytest
from sweeps import read_trials

from sweep.cli.parser import main
from sweep.space.file import parse_space
from sweep.tuning.pruners import build_pruner
from tests.tuning.test_own_loop import MEDIAN, run_loop, run_with_kills


def objective_space(function="own_loops:objective", pruner=MEDIAN, **sampler):
    study = {"name": "study", "function": function, "direction": "maximize"}
    return parse_space({"study": study, "sampler": sampler or {"name": "random"}, "pruner": pruner}, "space.toml")


def test_every_param_is_stored_and_the_trials_are_those_of_plain_optuna(tmp_path):
    space = objective_space()
    run_loop(tmp_path, space, 12)
    ours = read_trials(tmp_path)
    assert {"width" in trial["params"] for trial in ours} == {False, True}
    assert all(trial["user_attrs"].get("seen", trial["params"]) == trial["params"] for trial in ours)
    study = optuna.create_study(direction="maximize", pruner=build_pruner(space))

    def objective(trial):
        own_loops.random.seed(ours[trial.number]["user_attrs"]["seed"])
        own_loops.np.random.seed(ours[trial.number]["user_attrs"]["seed"])
        return own_loops.objective(trial)

    for trial in ours:
        study.enqueue_trial(trial["params"])
    study.optimize(objective, len(ours))
    for one, other in zip(ours, study.trials, strict=True):
        assert (one["state"], one["values"], one["params"]) == (other.state.name, other.values, other.params)
        assert one["distributions"] == other.distributions


@pytest.mark.slow
@pytest.mark.parametrize("num_lanes", [1, 3])
@pytest.mark.parametrize("sampler", [{"name": "random"}, {"name": "tpe", "multivariate": True, "n_startup_trials": 4}])
def test_a_killed_study_equals_the_unbroken_one(tmp_path, sampler, num_lanes):
    space = objective_space(**sampler)
    run_loop(tmp_path / "unbroken", space, 24, num_lanes)
    assert run_with_kills(tmp_path / "killed", space, 24, num_lanes) >= 2
    assert read_trials(tmp_path / "killed") == read_trials(tmp_path / "unbroken")


def test_ranges_that_contradict_fail_their_trial_with_optunas_reason(tmp_path):
    run_loop(tmp_path, objective_space("own_loops:contradicting"), 2)
    first, second = read_trials(tmp_path)
    assert first["state"] == "COMPLETE"
    assert "dynamic value space" in second["user_attrs"]["error"]


@pytest.mark.slow
def test_the_command_sweeps_it_in_workers_as_in_one_process_and_confirms_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("from own_loops import objective\n")
    command = ["run", "--objective", "mine.py:objective", "--direction", "maximize", "--trials", "8"]
    for name, flags in (("lanes", ["--lanes", "2"]), ("workers", ["--workers", "2"])):
        assert main([*command, "--pruner", "median:n_startup_trials=3", "--studies", name, *flags]) == 0
    assert read_trials(tmp_path / "lanes", "mine-objective") == read_trials(tmp_path / "workers", "mine-objective")
    assert main([*command, "--pruner", "median:n_startup_trials=3", "--studies", "workers", "--trials", "9"]) == 0
    assert main(["confirm", "mine-objective", "--studies", "lanes", "--top", "1", "--seeds", "2"]) == 0
    assert "2 runs" in capsys.readouterr().out


def test_a_study_of_plain_optuna_is_resumed_with_its_trials_as_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    storage = "sqlite:///plain.db"
    study = optuna.create_study(study_name="plain", storage=storage, direction="maximize")
    study.optimize(own_loops.objective, 3)
    study.ask().set_user_attr("seed", 1)  # runs elsewhere
    before = study.trials
    command = ["run", "--objective", "own_loops:objective", "--study", "plain", "--storage", storage, "--trials"]
    assert main([*command, "5"]) == 2
    assert "directions ['maximize']" in capsys.readouterr().err
    assert main([*command, "5", "--direction", "maximize"]) == 0
    assert "was made by another program; its 4 trials stay as they are" in capsys.readouterr().out
    assert main([*command, "6", "--direction", "maximize"]) == 0
    assert "another program" not in capsys.readouterr().out
    trials = optuna.load_study(study_name="plain", storage=storage).trials
    assert trials[:4] == before
    assert [trial.state.is_finished() for trial in trials[4:]] == [True] * 3
    assert main(["show", "plain", "--storage", storage]) == 0


def test_a_sampler_object_and_a_pruner_object_are_copied_and_seeded_for_each_trial(tmp_path):
    options = {"n_startup_trials": 3}
    run_loop(tmp_path / "names", objective_space(name="tpe", multivariate=True, **options), 10)
    space = objective_space(pruner={"name": "own_loops:PRUNER"}, name="own_loops:SAMPLER")
    run_loop(tmp_path / "objects", space, 10)
    names, objects = read_trials(tmp_path / "names"), read_trials(tmp_path / "objects")
    assert [trial["params"] for trial in names] == [trial["params"] for trial in objects]
    assert {trial["state"] for trial in objects} == {"COMPLETE", "PRUNED"}
