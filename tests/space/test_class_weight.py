"""Class weights in a space file: by name or number, checked against the data before anything is trained."""

import sys
import tomllib

import pytest
import tomli_w
from sweeps import read_trials

from sweep.cli.parser import main
from sweep.config.class_weight import weights_by_class
from sweep.config.trial import TrialConfig
from sweep.engines.device import Device
from sweep.errors import SpaceError
from sweep.space.space import Space

SPACE = """
[study]
name = "weighted"
metric = "f1_macro"
[data]
num_train = 200
num_validation = 100
[model]
filters = [4]
[training]
epochs = 2
{class_weight}
[sampler]
name = "random"
[space.rate]
key = "schedule.initial_learning_rate"
type = "float"
low = 1e-3
high = 1e-2
{more}
"""
VARIED = """[space.class_weight]
key = "training.class_weight"
type = "categorical"
choices = ["none", "balanced"]
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    cpu = Device("cpu", "cpu", "tensorflow")  # TensorFlow's threads can be set once in a process
    monkeypatch.setattr("sweep.engines.backends.tensorflow.set_up_device", lambda *_: cpu)
    return tmp_path


def test_a_class_is_given_by_its_name_or_else_its_number():
    assert weights_by_class({"cat": 2.0, "0": 0.5}, ["bird", "cat", "dog"]) == [0.5, 2.0, 1.0]
    assert weights_by_class({"7": 2.0}, ["5", "7"]) == [1.0, 2.0]  # a name is not a number
    for table, problem in (({"dgo": 2.0}, 'no class "dgo"'), ({"cat": 1.0, "1": 2.0}, "the same class")):
        with pytest.raises(SpaceError, match=problem):
            weights_by_class(table, ["bird", "cat", "dog"])


@pytest.mark.slow
def test_a_sweep_with_class_weights_and_f1_on_lanes_equals_the_sequential_one(place, capsys):
    (place / "space.toml").write_text(SPACE.format(class_weight="", more=VARIED))
    for name, engine in (("one", ["sequential"]), ("four", ["packed", "--lanes", "4"])):
        assert main(["run", "space.toml", "--study", name, "--trials", "6", "--quiet", "--engine", *engine]) == 0
    one, four = (read_trials(place / "studies", name) for name in ("one", "four"))
    assert {trial["params"]["class_weight"] for trial in one} == {"none", "balanced"}
    for ours, theirs in zip(four, one, strict=True):
        assert ours["params"] == theirs["params"]
        assert ours["intermediate_values"] == pytest.approx(theirs["intermediate_values"], abs=1e-6)
    assert main(["export", "four"]) == 0
    path = max((place / "studies" / "four").rglob("trial-*.toml"))
    assert main(["retrain", str(path), "--verify"]) == 0


def test_a_table_survives_toml():
    space = Space.from_sections(study={"name": "s"}, training={"class_weight": {"0": 2.0, "9": 0.5}})
    written = tomli_w.dumps(space.resolve({}, seed=0).values())
    config = TrialConfig.from_values(tomllib.loads(written), "test")
    assert config.training.class_weight == {"0": 2.0, "9": 0.5}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("class_weight = { ten = 2.0 }", 'training.class_weight: there is no class "ten"; use a name or a number'),
        ('class_weight = "balance"', "training.class_weight"),
        ("class_weight = { 0 = -1.0 }", "training.class_weight"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_trained(place, capsys, given, problem):
    (place / "space.toml").write_text(SPACE.format(class_weight=given, more=""))
    for command in (["run", "space.toml", "--trials", "1"], ["check", "space.toml", "--samples", "1"]):
        assert main(command) == 2
        error = capsys.readouterr().err
        assert problem in error
        assert len(error.strip().splitlines()) == 1
