"""Arguments of the Python API mean what they mean on the command line, and a wrong one is named."""

import os
import subprocess
import sys

import keras
import numpy as np
import optuna
import pytest

import sweep
from sweep.engines.device import Device
from sweep.space.space import Space

SPACE = """
[study]
name = "mine"
num_trials = 2
[data]
num_train = 60
num_validation = 60
[model]
filters = [2]
[training]
epochs = 2
[space.momentum]
key = "optimizer.momentum"
type = "float"
low = 0.0
high = 0.8
"""
NEW = {"study": "n", "engine": "fake"}
RETRAINED = """
import sweep
study = sweep.load_study("mine")
accuracies = {study.retrain(0, seeds=2, out=name, quiet=True, **how).test_accuracy for name, how in {
    "one": {}, "lanes": {"lanes": 2}, "workers": {"workers": 1, "device": "cpu"}}.items()}
assert max(accuracies) - min(accuracies) < 0.02, accuracies
confirmed = study.confirm(top=1, seeds=2, lanes=2, device="cpu", quiet=True)
assert len(confirmed.candidates[0].scores) == 2
verification = study.verify(0)
print("verified", verification.stored == verification.repeated)
"""


@pytest.fixture
def study(folder):
    return sweep.run("space.toml", engine="fake", quiet=True)


def test_overrides_change_a_space_as_they_change_a_file(folder):
    space = sweep.load_space("space.toml")
    sweep.run(space, engine="fake", quiet=True, overrides={"training.epochs": 1}, study="changed")
    sweep.run("space.toml", engine="fake", quiet=True, overrides={"training.epochs": 1}, study="file")
    changed, file = (sweep.load_study(name).study.trials for name in ("changed", "file"))
    assert [trial.values for trial in changed] == [trial.values for trial in file]
    assert all(len(trial.user_attrs["history"]) == 1 for trial in changed)
    assert isinstance(space, Space)
    with pytest.raises(sweep.errors.SpaceError, match=r"nonsense\.key"):
        sweep.run(space, engine="fake", quiet=True, overrides={"nonsense.key": 3})


@pytest.mark.parametrize(
    ("call", "fact"),
    [
        (lambda study: study.retrain(nonsense=3), "nonsense"),
        (lambda study: study.retrain(verify=True), "verify"),
        (lambda study: study.retrain(lanes=0), "lanes"),
        (lambda study: study.retrain(device=1), "device"),
        (lambda study: study.confirm(worker=2), "workers"),
        (lambda study: study.confirm(top=0), "top"),
        (lambda _: sweep.run("space.toml", sampler=optuna.samplers.RandomSampler()), "sampler"),
        (lambda _: sweep.run("space.toml", pruner=optuna.pruners.MedianPruner()), "pruner"),
        (
            lambda _: sweep.run("space.toml", study="n", engine="fake", callbacks=[keras.callbacks.Callback()]),
            "Callback",
        ),
        (lambda _: sweep.run("space.toml", study="n", engine="fake", callbacks=[sweep.Callback]), "Callback"),
    ],
)
def test_a_wrong_argument_is_one_line_that_names_it(study, call, fact):
    with pytest.raises(sweep.errors.InputError, match=fact) as raised:
        call(study)
    assert "\n" not in str(raised.value)
    with pytest.raises(sweep.errors.StudyError):
        sweep.load_study("n")


def test_a_file_that_changed_in_between_is_read_again(folder):
    def run(name, value):
        images = np.full((60, 4, 4), value, np.uint8)
        np.savez("images.npz", x=images, y=np.arange(60) % 3)
        changes = {"data.name": "npz", "data.path": "images.npz", "data.num_train": "", "data.num_validation": ""}
        return sweep.run("space.toml", study=name, engine="fake", quiet=True, overrides=changes).study.user_attrs[
            "sweep"
        ]

    assert run("first", 1)["data_hash"] != run("second", 2)["data_hash"]


def test_the_package_lists_what_is_public():
    assert {"run", "load_study", "Space"} <= set(dir(sweep)) == set(sweep.__all__)


@pytest.mark.slow
def test_seeds_are_retrained_confirmed_and_verified_on_lanes_and_workers(folder):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for code in ("import sweep; sweep.run('space.toml', quiet=True)", RETRAINED):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "verified True" in done.stdout


@pytest.mark.slow
def test_several_configs_are_retrained_by_one_command(folder, monkeypatch):
    from sweep.cli.parser import main

    cpu = Device("cpu", "cpu", "tensorflow")  # TensorFlow's threads can be set once in a process
    monkeypatch.setattr("sweep.engines.backends.tensorflow.set_up_device", lambda *_: cpu)
    assert main(["run", "space.toml", "--quiet"]) == 0
    assert main(["export", "mine", "--top", "2"]) == 0
    configs = sorted(map(str, (folder / "studies" / "mine" / "configs").glob("*.toml")))
    assert main(["retrain", *configs]) == 0
    assert len([*(folder / "studies" / "mine" / "models").glob("*/model.keras")]) == 2
    assert main(["retrain", *configs, "--out", "together"]) == 2


@pytest.mark.slow
def test_trials_of_another_space_are_not_exported_as_if_they_were_of_the_studys(folder):
    """Their configs cannot be told from the study's space and their parameters."""
    study = optuna.create_study(study_name="mixed", storage="sqlite:///mixed.db", direction="maximize")
    study.optimize(sweep.Objective("space.toml"), n_trials=1)
    with pytest.warns(UserWarning, match="other settings"):
        study.optimize(sweep.Objective("space.toml", overrides=["optimizer.name=sgd"]), n_trials=1)
    stored = sweep.load_study("mixed", storage="sqlite:///mixed.db")
    assert len(stored.export(trials=[0])) == 1
    with pytest.raises(sweep.errors.InputError, match="trial 1"):
        stored.export(trials=[1])
