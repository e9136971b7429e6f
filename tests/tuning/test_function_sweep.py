"""Sweeps whose objective is a plain function: no Keras, and everything else as with training."""

import json
import random
import subprocess
import sys
import tomllib

import pytest
from sweeps import DyingExecutor, Killed, open_in, read_trials, run_sweep

from sweep.cli.parser import main
from sweep.engines.function import FunctionEngine
from sweep.errors import SpaceError
from sweep.executors.in_process import InProcessExecutor
from sweep.space.file import parse_space, stored_space
from sweep.space.functions import beale

X = {"type": "float", "low": -4.5, "high": 4.5}
STEPS = {"type": "float", "low": -4.5, "high": 4.5, "step": 1.5}
SPACE = """
[study]
name = "mine"
function = "beale"
num_trials = 8

[space.x]
type = "float"
low = -4.5
high = 4.5

[space.y]
type = "float"
low = -4.5
high = 4.5
"""


def function_space(function="beale", sampler="random", space=None, **study):
    content = {"study": {"name": "study", "function": function, **study}, "sampler": {"name": sampler}}
    return parse_space({**content, "space": space or {"x": X, "y": X}}, "space.toml")


def run_function(folder, space, num_trials=20, num_lanes=1, executor=None, **limits):
    executor = executor or InProcessExecutor(FunctionEngine(num_lanes))
    return run_sweep(folder, space, num_trials, num_lanes, executor, **limits)


def test_beale_is_what_its_source_says():
    assert beale(3, 0.5) == 0
    assert beale(0, 0) == beale(1, 1) == 1.5**2 + 2.25**2 + 2.625**2
    assert beale(4, 4) == (1.5 + 12) ** 2 + (2.25 + 60) ** 2 + (2.625 + 252) ** 2


@pytest.mark.slow
def test_a_function_is_swept_without_keras(folder):
    code = """
import sys
from sweep.cli.parser import main
for command in ("check space.toml", "run space.toml", "run space.toml --trials 9", "report mine --out page.html"):
    assert main(command.split()) == 0
heavy = [name for name in ("keras", "tensorflow", "jax") if name in sys.modules]
sys.exit(f"loaded: {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "minimize value" in done.stdout
    trials = read_trials(folder / "studies", "mine")
    assert [trial["state"] for trial in trials] == ["COMPLETE"] * 9
    for trial in trials:
        assert trial["values"] == [beale(**trial["params"])]
        assert trial["history"] == [{"epoch": 1, "value": trial["values"][0]}]
    page = (folder / "page.html").read_text()
    assert "<h2>Optimization history</h2>" in page
    assert "<h2>Learning curves</h2>" not in page
    assert "epochs trained" not in page


@pytest.mark.slow
def test_workers_give_what_lanes_of_one_process_give(folder):
    (folder / "own.toml").write_text(SPACE.replace('"beale"', '"own_functions:noisy"'))
    for number, flags in enumerate((["--lanes", "2"], ["--workers", "2"])):
        assert main(["run", "own.toml", "--quiet", "--studies", str(folder / str(number)), *flags]) == 0
    lanes, workers = (read_trials(folder / str(number), "mine") for number in range(2))
    assert lanes == workers
    assert len(lanes) == 8


@pytest.mark.slow
@pytest.mark.parametrize("num_lanes", [1, 3])
@pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes", "grid"])
def test_a_killed_study_of_a_function_with_noise_equals_the_unbroken_one(tmp_path, sampler, num_lanes):
    parameters = {"x": STEPS, "y": STEPS} if sampler == "grid" else {"x": X, "y": X}
    space = function_space("own_functions:noisy", sampler, parameters)
    run_function(tmp_path / "unbroken", space, 30, num_lanes)
    chooser, num_kills = random.Random(0), 0
    for _ in range(100):
        executor = DyingExecutor(num_lanes, chooser.randint(1, 5), FunctionEngine(num_lanes))
        try:
            run_function(tmp_path / "killed", space, 30, num_lanes, executor)
            break
        except Killed:
            num_kills += 1
    assert num_kills >= 2
    killed, unbroken = read_trials(tmp_path / "killed"), read_trials(tmp_path / "unbroken")
    for trial in (*killed, *unbroken):
        del trial["system_attrs"]  # a pickled CMA-ES holds memory that was never written
    assert killed == unbroken


def test_active_params_alone_are_given(tmp_path):
    kind = {"type": "categorical", "choices": ["flat", "deep"]}
    space = function_space("own_functions:conditional", space={"kind": kind, "y": {**X, "when": {"kind": "deep"}}})
    run_function(tmp_path, space, 12)
    given = {trial["params"]["kind"]: trial["params"] for trial in read_trials(tmp_path)}
    assert {kind: sorted(params) for kind, params in given.items()} == {"flat": ["kind"], "deep": ["kind", "y"]}
    for trial in read_trials(tmp_path):
        assert trial["values"] == [trial["params"].get("y", -9.0)]


def test_what_goes_wrong_in_a_function_fails_its_trial_alone(tmp_path):
    whole = {"x": {"type": "int", "low": 0, "high": 5}}
    space = function_space("own_functions:failing", "grid", whole)
    run_function(tmp_path, space, 6, 3, max_failures=7)
    trials = {trial["params"]["x"]: trial for trial in read_trials(tmp_path)}
    causes = {x: trial["user_attrs"].get("cause") for x, trial in trials.items()}
    assert causes == {x: "nan" if x in (3, 4) else "user_error" for x in range(6)}
    assert trials[0]["user_attrs"]["error"] == "KeyError: 'no such row'"
    assert "own_functions.py" in trials[0]["user_attrs"]["traceback"]
    assert trials[1]["user_attrs"]["error"] == "SystemExit: enough"
    assert "returned '7'; it must return a number" in trials[2]["user_attrs"]["error"]
    assert trials[3]["user_attrs"]["error"] == "the value is not finite after epoch 1"
    assert "returned [1.0, 2.0]; it must return a number" in trials[5]["user_attrs"]["error"]


def test_the_stored_space_is_the_same_again(tmp_path):
    space = function_space("own_functions:two", directions=["minimize", "maximize"])
    record = json.loads(json.dumps(space.record()))
    assert stored_space("study", record).fingerprint == space.fingerprint
    assert function_space().fingerprint != space.fingerprint
    assert (
        function_space(direction="maximize").fingerprint
        != function_space().fingerprint
        == (function_space(direction="minimize").fingerprint)
    )


MISTAKES = {
    "unknown": ('[study]\nname = "a"\nfunction = "beal"', 'function "beal" is unknown; use beale, or "my_module:my_fu'),
    "section": ("[training]\nepochs = 3", "training: a function is called with the parameters only; remove it"),
    "key": (
        '[space.x]\ntype = "float"\nlow = 0\nhigh = 1\nkey = "optimizer.momentum"',
        "space.x.key: a function receives x by its name; remove the key",
    ),
    "missing": ('[space.x]\ntype = "float"\nlow = 0\nhigh = 1', "cannot be called with x: missing a required arg.*'y'"),
    "too many": (
        "".join(f'[space.{name}]\ntype = "float"\nlow = 0\nhigh = 1\n' for name in "xyz"),
        r"study.function: beale\(x: float, y: float\) -> float cannot be called with x, y, z: got an unexpected",
    ),
    "not always": (
        '[space.kind]\ntype = "categorical"\nchoices = ["a", "b"]\n[space.x]\ntype = "float"\nlow = 0\nhigh = 1',
        "cannot be called with kind, x",
    ),
    "metric": ('[study]\nname = "a"\nfunction = "beale"\nmetric = "loss"', "metric has no effect with a function"),
    "direction": (
        '[study]\nname = "a"\nfunction = "beale"\ndirections = []',
        "study.directions: Value should have at least 1 item",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_file_key_and_fix(mistake):
    text, message = MISTAKES[mistake]
    content = {"study": {"name": "a", "function": "beale"}, **tomllib.loads(text)}
    with pytest.raises(SpaceError, match=rf"^my\.toml: .*{message}") as error:
        parse_space(content, "my.toml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--engine", "packed"], "--engine packed: study.function is called and nothing is trained; remove it"),
        (["--device", "cpu"], "--device cpu: study.function is called"),
        (["--threads", "2"], "--threads: study.function is called"),
        (["--pruner", "median"], 'pruner.name: a function returns its only value at the end; use "none"'),
        (["--set", "training.epochs=3"], "training: a function is called with the parameters only"),
        (["--sampler", "grid"], "a grid sampler needs finitely many values of each parameter: space.x: add step"),
    ],
)
def test_flags_of_training_are_refused_before_anything_starts(folder, capsys, flags, said):
    assert main(["run", "space.toml", *flags]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (folder / "studies").exists()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [[], ["--workers", "1"]])
@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("nowhere:gone", "nowhere:gone cannot be imported: ModuleNotFoundError"),
        ("own_functions:gone", "own_functions:gone cannot be imported: AttributeError"),
        ("own_functions:NO_FUNCTION", "own_functions:NO_FUNCTION is a int; pass a function"),
        ("own_functions:failing", "own_functions:failing(x: float) -> float cannot be called with x, y"),
    ],
)
def test_an_own_function_is_looked_for_before_a_trial(folder, capsys, function, said, workers):
    (folder / "own.toml").write_text(SPACE.replace('"beale"', f'"{function}"'))
    assert main(["run", "own.toml", *workers]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert f"this runs your code: {function}" in shown.out


def test_a_function_beside_its_file_is_found_and_said_to_be_code(folder, capsys):
    (folder / "deep").mkdir()
    (folder / "deep" / "hill_of_mine.py").write_text("def hill(x, y):\n    return -x * x - y * y\n")
    text = SPACE.replace('"beale"', '"hill_of_mine:hill"').replace("num_", 'direction = "maximize"\nnum_')
    (folder / "deep" / "own.toml").write_text(text)
    assert main(["check", "deep/own.toml"]) == 0
    assert "this runs your code: hill_of_mine:hill" in capsys.readouterr().out
    assert main(["run", "deep/own.toml", "--quiet"]) == 0
    trials = read_trials(folder / "studies", "mine")
    best = max(trials, key=lambda trial: trial["values"])
    assert f"best: trial {best['number']}, value {best['values'][0]:.4f}" in capsys.readouterr().out


def test_what_there_is_to_see_of_a_function_and_that_there_is_nothing_to_export(folder, capsys):
    assert main(["run", "space.toml", "--quiet"]) == 0
    assert main(["show", "mine", "3"]) == 0
    assert "trial 3: COMPLETE, value" in capsys.readouterr().out
    assert main(["export", "mine"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("sweep: study mine is of a function")
    assert error.endswith("`sweep show mine TRIAL`\n")


def test_the_note_of_a_study_says_which_function(tmp_path):
    study = open_in(tmp_path, function_space())
    note = "".join(value for key, value in study.write_behind.stored_system_attrs().items() if "note_str" in key)
    assert 'function = "beale"' in note
