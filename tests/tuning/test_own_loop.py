"""Sweeps of a function that trains in a loop of its own and reports to its trial."""

import random

import optuna
import pytest
from sweeps import DyingExecutor, Killed, QuietProgress, read_trials, run_sweep
from threadpoolctl import threadpool_limits

import sweep
from sweep.cli.parser import main
from sweep.engines.function import FunctionEngine
from sweep.errors import SpaceError
from sweep.executors.in_process import InProcessExecutor
from sweep.space.file import parse_space
from sweep.tuning.pruners import build_pruner

X = {"type": "float", "low": -4.5, "high": 4.5}
SPACE = """
[study]
name = "mine"
function = "own_loops:FUNCTION"
direction = "maximize"
num_trials = 12

[pruner]
name = "median"
n_startup_trials = 2

[space.x]
type = "float"
low = -4.5
high = 4.5
"""
MEDIAN = {"name": "median", "n_startup_trials": 3}


def loop_space(function="own_loops:loop", pruner=MEDIAN, sampler="random", space=None):
    study = {"name": "study", "function": function, "direction": "maximize"}
    sections = {"study": study, "sampler": {"name": sampler}, "pruner": pruner, "space": space or {"x": X}}
    return parse_space(sections, "space.toml")


def run_loop(folder, space, num_trials=20, num_lanes=1, executor=None, **limits):
    return run_sweep(
        folder, space, num_trials, num_lanes, executor or InProcessExecutor(FunctionEngine(num_lanes)), **limits
    )


def run_with_kills(folder, space, num_trials, num_lanes):
    chooser, num_kills = random.Random(0), 0
    for _ in range(100):
        executor = DyingExecutor(num_lanes, chooser.randint(10, 14), FunctionEngine(num_lanes))
        try:
            run_loop(folder, space, num_trials, num_lanes, executor)
        except Killed:
            num_kills += 1
            continue
        return num_kills
    raise AssertionError("the study never ended")


def test_reports_are_stored_at_their_steps_and_the_value_is_what_is_returned(tmp_path):
    run_loop(tmp_path, loop_space(pruner={"name": "none"}), 4)
    for trial in read_trials(tmp_path):
        assert [*trial["intermediate_values"]] == [*range(1, 10)]
        assert trial["values"] == [trial["intermediate_values"][9] + 1]
        assert trial["user_attrs"]["at 9"] == round(trial["intermediate_values"][9], 3)
        assert [(one["epoch"], one["step"]) for one in trial["history"]] == [(step, step) for step in range(1, 10)]


@pytest.mark.slow
@pytest.mark.parametrize("num_lanes", [1, 3])
def test_a_pruner_decides_as_in_plain_optuna_where_the_loop_asks(tmp_path, num_lanes):
    run_loop(tmp_path, loop_space("own_loops:plain"), 30, num_lanes)
    trials = read_trials(tmp_path)
    pruned = [trial for trial in trials if trial["state"] == "PRUNED"]
    given_up = [trial for trial in pruned if trial["params"]["x"] < -4]
    assert len(given_up) < len(pruned) < len(trials)
    assert all(trial["user_attrs"]["why"] == "too small" and not trial["intermediate_values"] for trial in given_up)
    by_pruner = [trial for trial in pruned if trial not in given_up]
    assert {len(trial["intermediate_values"]) for trial in by_pruner} <= {3, 6, 9}
    assert all(trial["values"] == [[*trial["intermediate_values"].values()][-1]] for trial in by_pruner)


def test_one_lane_equals_plain_optuna(tmp_path):
    """The same params, reports and decisions as `study.optimize` with the sampler and the pruner of the sweep."""
    import own_loops

    space = loop_space("own_loops:plain")
    run_loop(tmp_path, space, 20)
    ours = read_trials(tmp_path)
    study = optuna.create_study(direction="maximize", pruner=build_pruner(space))

    def objective(trial):
        number = trial.number
        trial.suggest_float("x", -4.5, 4.5)
        random.seed(ours[number]["user_attrs"]["seed"])
        own_loops.np.random.seed(ours[number]["user_attrs"]["seed"])
        return own_loops.plain(trial)

    for trial in ours:
        study.enqueue_trial(trial["params"])
    study.optimize(objective, len(ours))
    for one, other in zip(ours, study.trials, strict=True):
        assert (one["state"], one["values"], one["intermediate_values"]) == (
            other.state.name,
            other.values,
            other.intermediate_values,
        )


@pytest.mark.slow
@pytest.mark.parametrize("num_lanes", [1, 3])
@pytest.mark.parametrize(("sampler", "function"), [("random", "loop"), ("tpe", "plain")])
def test_a_killed_study_of_own_loops_equals_the_unbroken_one(tmp_path, sampler, function, num_lanes):
    space = loop_space(f"own_loops:{function}", sampler=sampler)
    run_loop(tmp_path / "unbroken", space, 15, num_lanes)
    assert run_with_kills(tmp_path / "killed", space, 15, num_lanes) >= 2
    assert read_trials(tmp_path / "killed") == read_trials(tmp_path / "unbroken")


def test_a_loop_that_does_not_reproduce_is_said_once_and_goes_on(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(QuietProgress, "notice", lambda _, text: said.append(text))
    space = loop_space("own_loops:drifting", pruner={"name": "none"})
    with pytest.raises(Killed):
        run_loop(tmp_path, space, 3, executor=DyingExecutor(1, 14, FunctionEngine()))
    before = read_trials(tmp_path)[1]["intermediate_values"]
    run_loop(tmp_path, space, 3)
    trials = read_trials(tmp_path)
    assert len([text for text in said if text.startswith("trial 1 does not reproduce: step 0 gave")]) == 1
    assert [trial["state"] for trial in trials] == ["COMPLETE"] * 3
    assert trials[1]["intermediate_values"].items() >= before.items() > {}.items()


def test_what_goes_wrong_in_a_loop_fails_its_trial_alone(tmp_path):
    space = loop_space("own_loops:failing", {"name": "none"}, "grid", {"x": {"type": "int", "low": 0, "high": 6}})
    run_loop(tmp_path, space, 7, 2, max_failures=8)
    trials = {trial["params"]["x"]: trial for trial in read_trials(tmp_path)}
    causes = {x: trial["user_attrs"].get("cause") for x, trial in trials.items()}
    assert causes == {**dict.fromkeys(range(6), "user_error"), 2: "nan", 6: None}
    assert all(trial["intermediate_values"][0] == x for x, trial in trials.items())
    assert "own_loops.py" in trials[0]["user_attrs"]["traceback"]


def test_a_pruner_needs_a_function_that_reports(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(SPACE.replace("own_loops:FUNCTION", "own_functions:noisy"))
    assert main(["run", "own.toml"]) == 2
    assert "has no argument `trial` to report to" in capsys.readouterr().err
    with pytest.raises(SpaceError, match="set max_resource = 30"):
        build_pruner(loop_space(pruner={"name": "hyperband"}))


@pytest.mark.slow
def test_workers_give_what_one_process_gives_and_survive_a_loop_that_ends_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for function in ("loop", "deadly"):
        (tmp_path / f"{function}.toml").write_text(SPACE.replace("FUNCTION", function))
    for name, flags in (("lanes", ["--lanes", "2"]), ("workers", ["--workers", "2"])):
        assert main(["run", "loop.toml", "--quiet", "--studies", name, *flags]) == 0
    lanes, workers = (read_trials(tmp_path / name, "mine") for name in ("lanes", "workers"))
    assert lanes == workers
    assert {trial["state"] for trial in lanes} == {"COMPLETE", "PRUNED"}
    assert main(["run", "deadly.toml", "--quiet", "--studies", "deadly", "--workers", "2", "--max-failures", "12"]) == 0
    for trial in read_trials(tmp_path / "deadly", "mine"):
        assert (trial["user_attrs"].get("cause") == "killed") == (trial["params"]["x"] > 0)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [[], ["--workers", "1"]])
def test_threads_and_device_are_limited_for_it_and_kept_on_resume(tmp_path, monkeypatch, workers):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        monkeypatch.setenv(name, "2")  # is restored after the test
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(SPACE.replace("FUNCTION", "limits"))
    with threadpool_limits(2):
        assert main(["run", "own.toml", "--quiet", *workers, "--threads", "1", "--device", "cpu", "--trials", "1"]) == 0
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        assert main(["run", "own.toml", "--quiet", *workers, "--trials", "2"]) == 0
    assert main(["run", "own.toml", "--quiet", "--engine", "packed"]) == 2
    trials = read_trials(tmp_path / "studies", "mine")
    assert [(trial["user_attrs"]["threads"], trial["user_attrs"]["gpus"]) for trial in trials] == [(["1", 1], "-1")] * 2


def test_its_best_trials_are_confirmed_with_new_seeds_and_its_curves_are_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(SPACE.replace("FUNCTION", "loop"))
    assert main(["run", "own.toml", "--trials", "5"]) == 0
    shown = capsys.readouterr().out
    assert "after 9 epochs" in shown
    assert "sweep confirm mine" in shown
    assert main(["confirm", "mine", "--top", "2", "--seeds", "3"]) == 0
    assert "6 runs" in capsys.readouterr().out
    (one, two) = sweep.load_study("mine").confirmation.ranking
    assert len({*one.scores.values()}) == len({*two.scores.values()}) == 3
    assert main(["report", "mine", "--out", "page.html"]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "<h2>Learning curves</h2>" in page
    assert "epochs trained" in page
