"""Options of `sweep run` that choose how it searches: samplers and pruners with options, the end at failures."""

import optuna
import pytest

from sweep.cli.parser import main
from sweep.errors import SpaceError
from sweep.space.file import parse_choice
from sweep.storage import database_url

SPACE = """
[study]
name = "mine"
num_trials = 5
[pruner]
name = "median"
n_startup_trials = 1
[optimizer]
name = "sgd"
[training]
epochs = 3
[space.momentum]
key = "optimizer.momentum"
type = "float"
low = 0.0
high = 0.8
step = 0.2
[space.nesterov]
key = "optimizer.nesterov"
type = "categorical"
choices = [false, true]
"""


def run(*arguments):
    return main(["run", "space.toml", "--engine", "fake", *arguments])


def stored(folder, name="mine"):
    study = optuna.load_study(study_name=name, storage=database_url(folder / "studies"))
    return study.user_attrs["sweep"]


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("median", "median", {}),
        ("percentile:percentile=25", "percentile", {"percentile": 25}),
        ("tpe:multivariate=true, n_startup_trials=3", "tpe", {"multivariate": True, "n_startup_trials": 3}),
        ("qmc:qmc_type=halton", "qmc", {"qmc_type": "halton"}),
        ("patient:patience=3,wrapped_pruner=median", "patient", {"patience": 3, "wrapped_pruner": "median"}),
        (
            'patient:wrapped_pruner={name="median",n_warmup_steps=2},patience=3',
            "patient",
            {"patience": 3, "wrapped_pruner": {"name": "median", "n_warmup_steps": 2}},
        ),
    ],
)
def test_a_name_may_have_options(text, name, options):
    choice = parse_choice(text, "--pruner")
    assert (choice.name, choice.options) == (name, options)


@pytest.mark.parametrize("text", ["median:5", "median:=5", "median:n_warmup_steps=1,5"])
def test_what_is_no_option_is_refused_with_the_form(text):
    with pytest.raises(SpaceError, match=r"^--pruner median.*NAME:KEY=VALUE"):
        parse_choice(text, "--pruner")


def test_options_of_the_command_line_are_the_studys(folder, capsys):
    chosen = ["--pruner", "patient:patience=1,wrapped_pruner=median", "--sampler", "tpe:n_startup_trials=2"]
    assert run(*chosen, "--quiet") == 0
    assert stored(folder)["pruner"] == {"name": "patient", "options": {"patience": 1, "wrapped_pruner": "median"}}
    assert stored(folder)["sampler"] == {"name": "tpe", "options": {"n_startup_trials": 2}}
    assert run(*chosen, "--trials", "6", "--quiet") == 0
    capsys.readouterr()
    assert run("--trials", "7") == 2
    assert "pruner.name was patient, now median" in capsys.readouterr().err
    assert run("--pruner", "median", "--study", "file", "--trials", "1", "--quiet") == 0
    assert stored(folder, "file")["pruner"]["options"] == {"n_startup_trials": 1}, "the file's, as its name is the same"


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["--pruner", "percentile"], ["percentile", "--pruner percentile:percentile="]),
        (["--pruner", "wilcoxon"], ["wilcoxon", "study.repeats", "study.cross_validation"]),
        (["--sampler", "partial_fixed"], ["fixed_params", "--sampler partial_fixed:fixed_params="]),
        (["--sampler", "tpe:gamma=3"], ["sampler.gamma", "n_startup_trials"]),
    ],
)
def test_what_cannot_work_is_one_line_before_any_trial(folder, capsys, arguments, facts):
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert "missing 1 required" not in said
    assert all(fact in said for fact in facts)
    assert not (folder / "studies" / "sweep.db").exists() or not optuna.get_all_study_names(
        database_url(folder / "studies")
    )


def test_a_space_that_is_used_up_is_said_before_and_after(folder, capsys):
    assert run("--trials", "30") == 0
    said = capsys.readouterr().out
    assert "10 points" in said.split("trial 0")[0]
    assert "10/10" in said
    assert "all 10 combinations" in said
    assert run("--trials", "30") == 0
    again = capsys.readouterr().out
    assert "nothing to do" in again
    assert "--trials N adds more" not in again
    assert len(optuna.load_study(study_name="mine", storage=database_url(folder / "studies")).trials) == 10


def test_failures_in_a_row_end_the_command_with_their_causes(folder, capsys):
    hot = ["--set", "schedule.initial_learning_rate=1e30", "--study", "hot"]
    assert run(*hot, "--trials", "9") == 3
    said = capsys.readouterr().err
    assert "trials 0 to 4" in said
    assert "not finite" in said
    assert run(*hot, "--trials", "9", "--max-failures", "7") == 3
    assert "7 in a row" in capsys.readouterr().err
