"""Predictions of the best trials are stored, and any metric is computed from them later."""

import json
import sys

import numpy as np
import pytest
from sweeps import read_trials

import sweep
from sweep.cli.parser import main
from sweep.engines.device import Device

SPACE = """
[study]
name = "kept"
keep_predictions = 3
[data]
num_train = 200
num_validation = 100
[model]
filters = [4]
[training]
epochs = 3
metrics = ["f1_macro", "neg_log_loss"]
[sampler]
name = "random"
[space.rate]
key = "schedule.initial_learning_rate"
type = "float"
low = 1e-3
high = 1e-2
"""
PATIENT = SPACE.replace("epochs = 3", 'epochs = 3\npatience = 1\nmonitor = "val_accuracy"')
FOLDS = SPACE.replace("[data]\nnum_train = 200\nnum_validation = 100", "cross_validation = 3\n[data]\nnum_train = 200")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    cpu = Device("cpu", "cpu", "tensorflow")  # TensorFlow's threads can be set once in a process
    monkeypatch.setattr("sweep.engines.backends.tensorflow.set_up_device", lambda *_: cpu)
    yield tmp_path
    sys.modules.pop("my_scores", None)


def run(place, text, *options):
    (place / "space.toml").write_text(text)
    assert main(["run", "space.toml", "--quiet", *options]) == 0
    return read_trials(place / "studies", "kept")


def kept_trials(place):
    return {int(path.stem.partition("-")[2]) for path in (place / "studies" / "kept" / "predictions").iterdir()}


def scored(capsys, *metrics):
    capsys.readouterr()
    assert main(["score", "kept", *metrics, "--json"]) == 0
    return {trial["number"]: trial["scores"] for trial in json.loads(capsys.readouterr().out)["trials"]}


def best(trials, count):
    complete = [trial for trial in trials if trial["state"] == "COMPLETE"]
    return {trial["number"] for trial in sorted(complete, key=lambda one: (-one["values"][0], one["number"]))[:count]}


@pytest.mark.slow
@pytest.mark.parametrize("text", [SPACE, PATIENT], ids=["all epochs", "early stopping"])
@pytest.mark.parametrize("options", [("--engine", "sequential"), ("--engine", "packed", "--lanes", "2")])
def test_a_metric_computed_later_is_that_of_the_kept_epoch(place, capsys, text, options):
    trials = run(place, text, *options, "--trials", "5")
    assert kept_trials(place) == best(trials, 3)
    for number, scores in scored(capsys, "f1_macro", "neg_log_loss", "balanced_accuracy").items():
        same = [epoch for epoch in trials[number]["history"] if epoch["f1_macro"] == scores["f1_macro"][0]]
        assert trials[number]["values"][0] in {epoch["val_accuracy"] for epoch in same}
        losses = [epoch["neg_log_loss"] for epoch in same]
        assert any(loss == pytest.approx(scores["neg_log_loss"][0], abs=1e-6) for loss in losses)


@pytest.mark.slow
def test_workers_send_what_is_kept_and_a_resumed_sweep_keeps_the_best_of_all(place, capsys):
    run(place, SPACE, "--trials", "3", "--workers", "1")
    trials = run(place, SPACE, "--trials", "6", "--workers", "1")
    assert kept_trials(place) == best(trials, 3)
    first = next(iter(scored(capsys, "f1_macro").items()))
    assert first[1]["f1_macro"] == [trials[first[0]]["history"][-1]["f1_macro"]]
    assert main(["score", "kept", "f1_macro"]) == 0


@pytest.mark.slow
def test_each_fold_has_its_score(place, capsys):
    trials = run(place, FOLDS, "--trials", "2", "--engine", "sequential")
    for number, scores in scored(capsys, "f1_macro").items():
        lasts = [epoch["f1_macro"] for epoch in trials[number]["history"] if epoch["epoch"] == 3]
        assert scores["f1_macro"] == lasts
    assert main(["score", "kept", "f1_macro"]) == 0
    assert " +- " in capsys.readouterr().out


def test_a_metric_of_the_users_and_the_python_api(place, capsys):
    run(place, SPACE.replace("epochs = 3", "epochs = 1"), "--trials", "1")
    (place / "my_scores.py").write_text("def mistakes(labels, p):\n    return (p.argmax(axis=1) != labels).sum()\n")
    assert main(["score", "kept", "my_scores:mistakes"]) == 0
    assert "this runs your code: my_scores:mistakes" in capsys.readouterr().out
    (one,) = sweep.load_study("kept").score("my_scores:mistakes", "f1_macro")
    assert one.scores["my_scores:mistakes"] == [pytest.approx(100 * (1 - one.trial.value))]
    path = place / "studies" / "kept" / "predictions" / "trial-0.npz"
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, "values": np.array([0.123])})  # of another trial: a study deleted and made again
    assert main(["score", "kept", "f1_macro"]) == 2
    path.write_bytes(b"PK")
    assert main(["score", "kept", "f1_macro"]) == 2
    assert "trial-0.npz: not usable predictions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metric", "problem"),
    [
        ("f1_macr", 'did you mean "f1_macro"'),
        ("val_loss", '"val_loss" is not computed from predictions'),
        ("f1_macro", "study kept has no predictions"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_line(place, capsys, metric, problem):
    run(place, SPACE.replace("= 3", "= 0", 1).replace("epochs = 3", "epochs = 1"), "--trials", "1", "--engine", "fake")
    capsys.readouterr()
    assert main(["score", "kept", metric]) == 2
    error = capsys.readouterr().err
    assert problem in error
    assert len(error.strip().splitlines()) == 1
