"""A sampler and a pruner of the user's own are one file: named as `module:Class`, with options, resumed exactly."""

import pytest
from sweeps import read_trials

from sweep.cli.parser import main

SPACE = """
[study]
name = "mine"
num_trials = 6
[sampler]
name = "my_search:Middle"
shift = 0.1
[pruner]
name = "my_search:AfterTwo"
[training]
epochs = 5
[space.momentum]
key = "optimizer.momentum"
type = "float"
low = 0.0
high = 0.8
"""
CODE = """
import optuna

class Middle(optuna.samplers.BaseSampler):
    def __init__(self, shift=0.0, seed=None):
        self.shift, self.seed = shift, seed

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, name, distribution):
        return (distribution.low + distribution.high) / 2 + self.shift + (self.seed % 1000) / 1e5

class AfterTwo(optuna.pruners.BasePruner):
    def prune(self, study, trial):
        return trial.number % 2 == 1 and trial.last_step >= 1

class Failing(Middle):
    def sample_independent(self, study, trial, name, distribution):
        raise RuntimeError("no value")
"""


@pytest.fixture
def my_search(folder):
    (folder / "my_search.py").write_text(CODE)
    return folder


def run(*arguments):
    return main(["run", "space.toml", "--engine", "fake", *arguments])


def test_both_are_used_said_and_resumed(my_search, capsys):
    assert run("--trials", "3") == 0
    assert "my_search:Middle, my_search:AfterTwo" in capsys.readouterr().out
    assert run() == 0
    trials = read_trials(my_search / "studies", "mine")
    assert [trial["state"] for trial in trials] == ["COMPLETE", "PRUNED"] * 3
    momenta = [trial["params"]["momentum"] for trial in trials]
    assert all(0.5 <= momentum < 0.511 for momentum in momenta)
    assert len(set(momenta)) == 6  # each trial's sampler has a seed of its own
    assert run("--study", "unbroken") == 0
    unbroken = read_trials(my_search / "studies", "unbroken")
    assert [trial["params"] for trial in unbroken] == [trial["params"] for trial in trials]


def test_options_can_be_given_on_the_command_line(my_search):
    assert run("--sampler", "my_search:Middle:shift=0.2", "--pruner", "none", "--trials", "2") == 0
    trials = read_trials(my_search / "studies", "mine")
    assert [trial["state"] for trial in trials] == ["COMPLETE"] * 2
    assert all(0.6 <= trial["params"]["momentum"] < 0.611 for trial in trials)


@pytest.mark.parametrize(
    ("sampler", "facts"),
    [
        ("my_search:Middle:shfit=1", ["shfit", "shift"]),
        ("my_search:Absent", ["sampler.name", "my_search:Absent"]),
        ("absent_module:Middle", ["sampler.name", "absent_module"]),
        ("my_search:AfterTwo", ["sampler.name", "BaseSampler"]),
        ("my_search:Failing", ["no value"]),
        ("my_serach", ["sampler.name", "module:Class"]),
    ],
)
def test_a_mistake_is_one_line_before_a_study_is_made(my_search, capsys, sampler, facts):
    assert run("--sampler", sampler) == 2
    error = capsys.readouterr().err
    assert all(fact in error for fact in facts)
    assert error.count("\n") == 1
    assert not (my_search / "studies" / "sweep.db").exists()
