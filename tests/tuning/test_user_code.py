"""A user's own function or builder: known by folder and digest, and whatever it raises ends one trial alone."""

import sys
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from sweeps import read_trials

import sweep
from sweep.cli.parser import main
from sweep.config.file import read_config
from sweep.engines.device import Device
from sweep.plugins.user_code import code_of, recorded_code
from sweep.storage import STUDY_ID, WriteBehindStorage
from sweep.storage.stored_trials import code_digest

SPACE = """
[study]
name = "mine"
function = "code_of_mine:f"
[sampler]
name = "grid"
[space.x]
type = "int"
low = 0
high = 7
"""
RAISES = """
import os, sys, threading

class Own(BaseException):
    pass

class Mute(Exception):
    def __str__(self):
        return self.text

def f(x):
    if x == 0:
        raise KeyboardInterrupt
    if x == 1:
        raise Own("mine")
    if x == 2:
        os._exit(0)
    if x == 3:
        sys.exit(0)
    if x == 4 and not os.fork():
        os._exit(0)
    if x == 5:
        raise Mute
    return float(x)
"""
MODEL_SPACE = """
[study]
name = "mine"
[data]
num_train = 150
num_validation = 280
[training]
epochs = 1
[model]
builder = "code_of_mine:build"
[model.options]
width = 4
[sampler]
name = "grid"
[space.kind]
key = "model.options.kind"
type = "categorical"
choices = ["good", "interrupt", "exit", "own in a layer"]
"""
MODEL = """
import os, keras

class Own(BaseException):
    pass

class Raising(keras.layers.Layer):
    def call(self, inputs, training=False):
        if training:
            raise Own("in a layer")
        return inputs

def build(image_shape, num_classes, width, kind="good"):
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "exit":
        os._exit(0)
    layers = [keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(width, "relu")]
    layers += [Raising()] if kind == "own in a layer" else []
    return keras.Sequential([*layers, keras.layers.Dense(num_classes, "softmax")])
"""


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """Each command finds modules as a process of its own would: call it before the next command."""
    path = [*sys.path]
    cpu = Device("cpu", "cpu", "tensorflow")  # TensorFlow's threads can be set once in a process
    monkeypatch.setattr("sweep.engines.backends.tensorflow.set_up_device", lambda *_: cpu)

    def forget_modules():
        sys.path[:] = path
        for name in [name for name in sys.modules if name.startswith("code_of_mine")]:
            del sys.modules[name]

    yield forget_modules
    forget_modules()


def code_in(folder, source, name="code_of_mine.py"):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    return file


def digest_in(folder, name="code_of_mine:f"):
    sys.path.insert(0, str(folder))
    try:
        return code_of(name).digest
    finally:
        sys.path.remove(str(folder))


# ---- what is known of it ----


def test_digest_is_of_the_module_and_what_it_imports_of_its_folder_and_runs_nothing(tmp_path):
    source = (
        "import json\nfrom code_of_mine_package import part\ndef f():\n    import code_of_mine_late\nraise SystemExit\n"
    )
    code_in(tmp_path, source)
    late = code_in(tmp_path, "a = 1\n", "code_of_mine_late.py")
    part = code_in(tmp_path, "from . import other\n", "code_of_mine_package/part.py")  # a namespace package
    other = code_in(tmp_path, "b = 1\n", "code_of_mine_package/other.py")
    unused = code_in(tmp_path, "c = 1\n", "code_of_mine_unused.py")
    digests = [digest_in(tmp_path)]
    for file in (unused, late, part, other):
        file.write_text(file.read_text() + "d = 1\n")
        digests.append(digest_in(tmp_path))
    assert digests[0] == digests[1] != ""
    assert len({*digests}) == 4
    assert digest_in(tmp_path, "code_of_mine_package.part:other") not in ("", digests[-1])
    assert "code_of_mine" not in sys.modules


@pytest.mark.parametrize("name", ["code_of_mine_nowhere:f", "math:hypot", "builtins:print"])
def test_code_without_a_source_has_no_digest(name):
    assert code_of(name).digest == ""


def test_edited_code_is_said_at_each_resume_and_each_trial_knows_its_own(folder, capsys, forget):
    (folder / "own.toml").write_text(SPACE)
    helper = code_in(folder / "place", "def g(x):\n    return float(x)\n", "code_of_mine_helper.py")
    code_in(folder / "place", "from code_of_mine_helper import g\ndef f(x):\n    return g(x)\n")
    (folder / "place" / "own.toml").write_text(SPACE)
    shown = []
    for num_trials, edit in ((2, ""), (3, ""), (4, "# edited\n"), (5, "")):
        helper.write_text(helper.read_text() + edit)
        forget()
        assert main(["run", "place/own.toml", "--quiet", "--trials", str(num_trials)]) == 0
        shown.append(capsys.readouterr().out)
        assert f"code_of_mine:f ({folder / 'place'})" in shown[-1]
        assert "--workers 1" in shown[-1]
    assert ["3 of the" in text for text in shown] == [False, False, True, True]
    trials = read_trials(folder / "studies", "mine")
    digests = [trial["user_attrs"]["code"] for trial in trials]
    assert digests[0] == digests[1] == digests[2] != digests[3] == digests[4]
    assert all(digest in shown[-1] for digest in digests)
    assert main(["report", "mine", "--out", "page.html"]) == 0
    page = (folder / "page.html").read_text()
    assert f"{digests[0]} (3 trials), {digests[3]} (2 trials)" in page
    study = optuna.load_study(study_name="mine", storage="sqlite:///studies/sweep.db")
    settings = study.user_attrs["sweep"]
    assert (settings["code"]["place"], settings["code"]["digest"]) == (str(folder / "place"), digests[-1])
    del settings["code"]  # a study from before code was recorded
    with closing(WriteBehindStorage("sqlite:///studies/sweep.db", "mine")) as storage, storage.transaction():
        storage.set_study_user_attr(STUDY_ID, "sweep", settings)
    forget()
    assert main(["run", "place/own.toml", "--quiet", "--trials", "6"]) == 0


FOREIGN_CODE = (["a"], 5, "x.py", None, "0123456789abcdef")


def test_what_other_programs_call_code_is_neither_said_nor_compared(folder, capsys, forget):
    (folder / "own.toml").write_text(SPACE)
    code_in(folder, "def f(x):\n    return float(x)\n")
    assert main(["run", "own.toml", "--quiet", "--trials", "1"]) == 0
    outside = optuna.load_study(study_name="mine", storage="sqlite:///studies/sweep.db")
    for code in FOREIGN_CODE:
        outside.add_trial(optuna.trial.create_trial(value=99.0, user_attrs={"code": code}))
    forget()
    capsys.readouterr()
    assert main(["run", "own.toml", "--quiet", "--trials", "7"]) == 0
    assert "0123456789abcdef" not in capsys.readouterr().out
    assert main(["report", "mine", "--out", "page.html"]) == 0
    assert "x.py" not in (folder / "page.html").read_text().partition("your code")[2][:200]


@pytest.mark.parametrize("code", FOREIGN_CODE[:4])
def test_a_digest_that_is_none_is_exported_as_unknown(code):
    trial = optuna.trial.create_trial(value=0.5, user_attrs={"code": code})
    assert code_digest(trial) == ""


# ---- commands that do not name its folder ----


@pytest.mark.slow
def test_every_command_finds_a_builder_where_the_sweep_found_it_and_says_if_it_was_edited(folder, capsys, forget):
    space = MODEL_SPACE.replace('"interrupt", "exit", "own in a layer"', '"fine"')
    code = code_in(folder / "place", MODEL)
    (folder / "place" / "own.toml").write_text(space)
    assert main(["run", "place/own.toml", "--quiet", "--engine", "sequential", "--threads", "1"]) == 0
    assert main(["export", "mine", "--top", "1", "--out", "configs"]) == 0
    (config,) = (folder / "configs").glob("*.toml")
    recorded = recorded_code(read_config(config)[1].code)
    assert recorded.place == str(folder / "place")
    assert recorded.digest == read_trials(folder / "studies", "mine")[0]["user_attrs"]["code"]
    threads = ["--threads", "1"]
    verify = ["retrain", str(config), "--verify", *threads]
    confirm = ["confirm", "mine", "--top", "1", *threads, "--seeds"]
    for arguments in (verify, [*confirm, "1"], ["train", str(config), *threads]):
        forget()
        capsys.readouterr()
        assert main(arguments) == 0
        out = capsys.readouterr().out
        assert f"this runs your code: code_of_mine:build ({folder / 'place'})" in out
        assert "has changed" not in out
    code.write_text(MODEL.replace('"relu"', '"tanh"'))
    for arguments, exit_code in ((verify, 1), ([*confirm, "2"], 2)):
        forget()
        capsys.readouterr()
        assert main(arguments) == exit_code
        shown = capsys.readouterr()
        assert recorded.digest in shown.out + shown.err
        assert "has changed" in shown.out
    forget()
    start = ["--quiet", "--engine", "sequential", "--threads", "1"]
    assert main(["run", "place/own.toml", *start]) == 0  # the latest start's code is now the edited one
    forget()
    capsys.readouterr()
    assert main([*confirm, "1", "--again"]) == 0
    out = capsys.readouterr().out
    assert "has changed" in out
    assert f"by {recorded.digest}" in out


def test_an_objective_finds_a_builder_as_run_does(tmp_path, monkeypatch):
    """In the working directory, else beside its file, before what is installed."""
    monkeypatch.syspath_prepend(code_in(tmp_path / "installed", "", "code_of_mine.py").parent)
    code_in(tmp_path / "place", MODEL)
    (tmp_path / "place" / "own.toml").write_text(MODEL_SPACE.replace('"interrupt", "exit", "own in a layer"', '"fine"'))
    study = optuna.create_study(direction="maximize")
    study.optimize(sweep.Objective(tmp_path / "place" / "own.toml"), n_trials=1)
    assert study.best_value > 0
    assert Path(sys.modules["code_of_mine"].__file__).parent == tmp_path / "place"
    code_in(tmp_path / "here", MODEL)
    monkeypatch.chdir(tmp_path / "here")
    sweep.Objective(tmp_path / "place" / "own.toml")
    del sys.modules["code_of_mine"]
    assert code_of("code_of_mine:build").place == str(tmp_path / "here")


# ---- what it raises ----


def failures(folder):
    trials = read_trials(folder / "studies", "mine")
    return {
        next(iter(trial["params"].values())): (trial["user_attrs"]["cause"], trial["user_attrs"]["error"])
        for trial in trials
        if trial["state"] == "FAIL"
    }


def test_whatever_a_function_raises_fails_its_trial_and_the_sweep_ends_in_order(folder):
    (folder / "own.toml").write_text(SPACE)
    code_in(folder, RAISES)
    assert main(["run", "own.toml", "--lanes", "2", "--max-failures", "8"]) == 0
    assert failures(folder) == {
        0: ("user_error", "KeyboardInterrupt"),
        1: ("user_error", "Own: mine"),
        2: ("user_error", "SystemExit: os._exit(0)"),
        3: ("user_error", "SystemExit: 0"),
        5: ("user_error", "Mute"),
    }
    assert len(read_trials(folder / "studies", "mine")) == 8


EDITS_ITSELF = """
import os, pathlib
def f(x):
    if x == 2:
        here = pathlib.Path(__file__)
        here.write_text(here.read_text().replace("x == 2", "x == -1"))
        os._exit(1)
    return float(x)
"""


def test_code_that_a_new_worker_finds_edited_is_said_once_and_noted(folder, capsys):
    (folder / "own.toml").write_text(SPACE)
    code_in(folder, EDITS_ITSELF)
    before = digest_in(folder)
    assert main(["run", "own.toml", "--workers", "1", "--lanes", "1"]) == 0
    after, shown = digest_in(folder), capsys.readouterr()
    trials = read_trials(folder / "studies", "mine")
    number = next(trial["number"] for trial in trials if trial["params"]["x"] == 2)
    assert [trial["user_attrs"]["code"] for trial in trials] == [before] * number + [after] * (8 - number)
    assert before != after
    (said,) = [line for line in (shown.out + shown.err).splitlines() if after in line]
    assert f"trial {number}" in said
    assert "code_of_mine:f" in said


def test_a_function_that_ends_its_worker_with_exit_code_0_counts_as_its_death(folder):
    (folder / "own.toml").write_text(SPACE.replace("high = 7", "high = 4"))
    code_in(folder, RAISES)
    assert main(["run", "own.toml", "--workers", "1", "--retries", "0", "--quiet"]) == 0
    found = failures(folder)
    assert {x: cause for x, (cause, _) in found.items()} == {
        0: "user_error",
        1: "user_error",
        2: "killed",
        3: "user_error",
    }
    assert "exited with code 0" in found[2][1]


@pytest.mark.parametrize("engine", ["sequential", "packed"])
def test_whatever_a_builder_or_a_layer_raises_fails_its_trial_alone(folder, engine):
    (folder / "own.toml").write_text(MODEL_SPACE)
    code_in(folder, MODEL)
    lanes = "4" if engine == "packed" else "1"
    assert main(["run", "own.toml", "--quiet", "--engine", engine, "--lanes", lanes, "--threads", "1"]) == 0
    found = failures(folder)
    assert {kind: cause for kind, (cause, _) in found.items()} == dict.fromkeys(
        ("interrupt", "exit", "own in a layer"), "user_error"
    )
    assert "in a layer" in found["own in a layer"][1]


@pytest.mark.parametrize(("kind", "name"), [("interrupt", "KeyboardInterrupt"), ("exit", "SystemExit")])
def test_no_command_ends_without_a_word_by_what_a_builder_raises(folder, capsys, kind, name):
    code_in(folder, MODEL)
    data, _, rest = MODEL_SPACE.partition("[model]")
    config = data.replace('[study]\nname = "mine"\n', "") + "[model]" + rest.partition("[sampler]")[0]
    (folder / "config.toml").write_text(config.replace("width = 4", f'width = 4\nkind = "{kind}"'))
    (folder / "own.toml").write_text(MODEL_SPACE.replace('"good", ', ""))
    assert main(["train", "config.toml", "--threads", "1"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "code_of_mine:build" in said[0]
    assert name in said[0]
    assert main(["check", "own.toml", "--samples", "20"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "own.toml" in said


@pytest.mark.parametrize("raised", ["raise KeyboardInterrupt", "raise BaseException", "import os; os._exit(0)"])
def test_a_module_that_raises_when_it_is_imported_is_one_line(folder, capsys, raised):
    (folder / "own.toml").write_text(SPACE)
    code_in(folder, f"{raised}\n")
    assert main(["run", "own.toml"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "code_of_mine:f" in said
    assert raised.split()[1] in said or "os._exit(0)" in said


def test_a_space_file_alone_runs_nothing(folder):
    """Only code that a file names is looked for, and only where it stands."""
    code_in(folder, "raise SystemExit\n", "pandas.py")
    (folder / "own.toml").write_text(
        SPACE.replace("code_of_mine:f", "beale").replace(
            "[space.x]", "[space.y]\ntype = 'int'\nlow = 0\nhigh = 1\n[space.x]"
        )
    )
    assert main(["check", "own.toml"]) == 0
    assert str(folder) not in sys.path
    assert Path.cwd() == folder
