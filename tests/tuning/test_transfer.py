"""Trials of an earlier study: finished where their scores hold, else run again, and never silently dropped."""

import random

import pytest
from sweeps import read_trials

import sweep
from sweep.cli.parser import main

pytestmark = pytest.mark.slow
SPACE = """
[study]
name = "old"
num_trials = 8
[training]
epochs = 4
[data]
num_train = 60
num_validation = 60
[pruner]
name = "median"
n_startup_trials = 3
[space.momentum]
key = "optimizer.momentum"
type = "float"
low = 0.0
high = 0.8
[space.filters]
key = "model.filters"
type = "categorical"
choices = [[8], [8, 16]]
"""


@pytest.fixture
def old(folder):
    """The trials of an earlier study."""
    assert run() == 0
    return read_trials(folder / "studies", "old")


def run(*arguments, space=SPACE):
    with open("space.toml", "w") as file:
        file.write(space)
    return main(["run", "space.toml", "--engine", "fake", "--quiet", *arguments])


def test_trials_whose_scores_hold_are_finished_from_the_start(folder, old, capsys):
    wider = SPACE.replace("high = 0.8", "high = 0.9").replace(
        "choices = [[8], [8, 16]]", "choices = [[16], [8], [8, 16]]"
    )
    assert run("--study", "new", "--from", "old", "--trials", "10", space=wider) == 0
    assert "8 trials of old: 8 enter as finished, 0 run again, 0 left out" in capsys.readouterr().out
    new = read_trials(folder / "studies", "new")
    for one, other in zip(old, new, strict=False):
        for key in ("state", "values", "params", "intermediate_values", "history"):
            assert one[key] == other[key]
        assert other["user_attrs"]["earlier"] == {"study": "old", "trial": one["number"]}
    assert [trial["state"] in ("COMPLETE", "PRUNED") for trial in new] == [True] * 10
    assert run("--study", "new", "--from", "old", "--trials", "11", space=wider) == 0  # resumes
    assert len(read_trials(folder / "studies", "new")) == 11
    assert run("--from", "new") == 2
    assert "study old has trials already" in capsys.readouterr().err
    assert main(["export", "new", "--top", "1", "--out", "out"]) == 0


def test_trials_whose_scores_do_not_hold_run_again_and_others_are_said(folder, old, capsys):
    other = SPACE.replace("epochs = 4", "epochs = 5").replace("low = 0.0", "low = 0.3")
    assert run("--study", "new", "--from", "old", space=other) == 0
    said = capsys.readouterr().out
    kept = [trial for trial in old if trial["params"]["momentum"] >= 0.3 and trial["state"] == "COMPLETE"]
    assert f"0 enter as finished, {len(kept)} run again, {8 - len(kept)} left out" in said
    assert "runs again: training.epochs was 4, it is 5" in said
    assert "is not in 0.3 to 0.8" in said
    new = read_trials(folder / "studies", "new")
    assert sorted(trial["params"]["momentum"] for trial in new[: len(kept)]) == sorted(
        trial["params"]["momentum"] for trial in kept
    )
    assert all(len(trial["history"]) <= 5 for trial in new)


def test_a_parameter_that_is_renamed_or_fixed_keeps_its_trials(folder, old):
    renamed = SPACE.replace("[space.momentum]", "[space.inertia]")
    assert run("--study", "renamed", "--from", "old", "--trials", "8", space=renamed) == 0
    new = read_trials(folder / "studies", "renamed")
    assert [trial["params"]["inertia"] for trial in new] == [trial["params"]["momentum"] for trial in old]
    fixed = SPACE[: SPACE.index("[space.filters]")] + "[model]\nfilters = [8]\n"
    assert run("--study", "fixed", "--from", "old", "--trials", "1", space=fixed) == 0
    of_one_layer = [trial for trial in old if trial["params"]["filters"] == "[8]"]
    assert [trial["values"] for trial in read_trials(folder / "studies", "fixed")[: len(of_one_layer)]] == [
        trial["values"] for trial in of_one_layer
    ]


def test_the_best_are_run_once_more_and_it_is_said_whether_their_scores_hold(folder, old, capsys):
    assert run("--study", "new", "--from", "old", "--top", "3", "--recheck", "2", "--trials", "5") == 0
    said = capsys.readouterr().out
    assert "3 trials of old: 3 enter as finished, 0 run again, 2 of the finished run once more" in said
    assert said.count("its score holds") + said.count("it is PRUNED") == 2
    new = read_trials(folder / "studies", "new")
    assert new[3]["user_attrs"]["seed"] == new[3]["user_attrs"]["recheck"]["seed"]


def test_a_killed_study_equals_the_unbroken_one(folder, old, monkeypatch):
    from sweep.executors.in_process import InProcessExecutor

    other = SPACE.replace("epochs = 4", "epochs = 5")
    new = ("--study", "new", "--from", "old", "--trials", "12")
    for name in ("unbroken", "killed"):
        assert main(["copy", "old", "--to", f"sqlite:///{name}.db"]) == 0
    assert run(*new, "--storage", "sqlite:///unbroken.db", space=other) == 0
    wait, chooser = InProcessExecutor.wait, random.Random(0)
    left = [0]

    def dying(executor, lanes=None):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return wait(executor, lanes)

    monkeypatch.setattr(InProcessExecutor, "wait", dying)
    for _ in range(3):
        left[0] = chooser.randint(6, 9)
        with pytest.raises(KeyboardInterrupt):
            sweep.run(
                "space.toml",
                engine="fake",
                quiet=True,
                study="new",
                earlier="old",
                trials=12,
                storage="sqlite:///killed.db",
            )
    left[0] = -1
    assert run(*new, "--storage", "sqlite:///killed.db", space=other) == 0
    unbroken, killed = (
        sweep.load_study("new", storage=f"sqlite:///{name}.db").study.trials for name in ("unbroken", "killed")
    )
    assert [(one.params, one.values, one.state) for one in unbroken] == [
        (one.params, one.values, one.state) for one in killed
    ]


def test_a_study_of_another_objective_gives_nothing_finished(folder, old, capsys):
    other = SPACE.replace("[study]", '[study]\nmetric = "val_loss"').replace("[pruner]", "[sampler]")
    other = other.replace('name = "median"\nn_startup_trials = 3', 'name = "random"')
    assert run("--study", "new", "--from", "old", "--trials", "2", space=other) == 0
    assert "runs again: study.metric was val_accuracy, it is val_loss" in capsys.readouterr().out
    assert run("--study", "other", "--from", "nowhere") == 2
    assert "no study named nowhere" in capsys.readouterr().err


def test_a_study_is_migrated_to_a_changed_space_and_goes_on(folder, old, capsys):
    wider = SPACE.replace("high = 0.8", "high = 0.5").replace('"old"', '"forked"')
    (folder / "wider.toml").write_text(wider)
    kept = [trial for trial in old if trial["params"]["momentum"] <= 0.5]
    assert main(["migrate", "old", "wider.toml", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "space.momentum.high: 0.8 -> 0.5" in said
    assert f"{len(kept)} enter as finished, 0 run again, {8 - len(kept)} left out" in said
    assert main(["migrate", "old", "wider.toml"]) == 0
    assert main(["run", "wider.toml", "--quiet", "--trials", str(len(kept) + 2)]) == 0
    new = read_trials(folder / "studies", "forked")
    assert [trial["values"] for trial in new[: len(kept)]] == [trial["values"] for trial in kept]
    assert len(new) == len(kept) + 2
    assert sweep.load_study("forked").study.user_attrs["earlier"]["study"] == "old"
    assert read_trials(folder / "studies", "old") == old
    assert main(["migrate", "old", "wider.toml"]) == 2
    assert "there is a study forked already" in capsys.readouterr().err
