"""Metrics by name: one file of a user's adds one, on every engine; ours are scikit-learn's; a bad one is refused."""

import sys
import warnings

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score
from sweeps import make_space, read_trials, run_sweep

from sweep.cli.parser import main
from sweep.config.file import read_config
from sweep.config.trial import TrialConfig
from sweep.engines.device import Device
from sweep.engines.registry import make_engine
from sweep.errors import SpaceError
from sweep.metrics.scores import probabilities_of, scores
from sweep.plugins.user_code import code_of
from sweep.testing.engine import train_to_the_end

OURS = {
    "val_f1_macro": lambda *given: f1_score(*given, average="macro"),
    "val_balanced_accuracy": balanced_accuracy_score,
}
CODE = "my_metrics:log_loss, my_metrics:worst_recall"
METRIC = """
def worst_recall(labels, probabilities):
    assert labels.shape == (280,) and probabilities.shape == (280, 10)
    hits = probabilities.argmax(axis=1) == labels
    return min(hits[labels == label].mean() for label in set(labels.tolist())) + 0.01 * hits.mean()

def log_loss(labels, probabilities):
    from numpy import log
    return -log(probabilities[range(len(labels)), labels]).mean()
"""
SPACE = """
[study]
name = "mine"
metric = "my_metrics:worst_recall"
direction = "maximize"
[data]
num_train = 300
num_validation = 280
[model]
filters = [4]
[training]
epochs = 2
metrics = ["val_f1_macro", "my_metrics:log_loss"]
[sampler]
name = "random"
[space.rate]
key = "schedule.initial_learning_rate"
type = "float"
low = 1e-3
high = 1e-2
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with the user's file, which each test finds anew."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    cpu = Device("cpu", "cpu", "tensorflow")  # TensorFlow's threads can be set once in a process
    monkeypatch.setattr("sweep.engines.backends.tensorflow.set_up_device", lambda *_: cpu)
    (tmp_path / "my_metrics.py").write_text(METRIC)
    (tmp_path / "space.toml").write_text(SPACE)
    yield tmp_path
    sys.modules.pop("my_metrics", None)


@pytest.mark.slow
def test_one_file_adds_an_objective_which_lanes_give_as_the_sequential_engine_does(place, capsys):
    for name, engine in (("one", ["sequential"]), ("four", ["packed", "--lanes", "4"])):
        command = ["run", "space.toml", "--study", name, "--trials", "4", "--quiet", "--engine", *engine]
        assert main(command) == 0
        assert f"this runs your code: {CODE} ({place})" in capsys.readouterr().out
    one, four = (read_trials(place / "studies", name) for name in ("one", "four"))
    for ours, theirs in zip(four, one, strict=True):
        assert ours["params"] == theirs["params"]
        assert ours["intermediate_values"] == pytest.approx(theirs["intermediate_values"], abs=1e-6)
        last = ours["history"][-1]
        assert ours["values"] == [last["my_metrics:worst_recall"]]
        assert last["my_metrics:log_loss"] == pytest.approx(last["val_loss"], rel=1e-5)
        assert ours["user_attrs"]["code"] == code_of(*CODE.split(", ")).digest
    assert main(["show", "four", "0", "--csv"]) == 0
    assert ",my_metrics:worst_recall" in capsys.readouterr().out.splitlines()[0]
    assert main(["report", "four", "--out", "page.html"]) == 0
    assert main(["export", "four"]) == 0
    path = max((place / "studies" / "four").rglob("trial-*.toml"))
    config, provenance = read_config(path)
    assert config.training.metrics == ("val_f1_macro", "my_metrics:log_loss", "my_metrics:worst_recall")
    assert provenance.metric == "my_metrics:worst_recall"
    assert main(["retrain", str(path), "--verify"]) == 0
    (place / "my_metrics.py").write_text(METRIC + "# edited\n")
    assert main(["retrain", str(path), "--verify"]) == 0
    assert f"the code of {CODE} has changed" in capsys.readouterr().out


@pytest.mark.parametrize("name", OURS)
def test_ours_are_scikit_learns_and_say_nothing_of_classes_that_are_missing(name):
    labels = np.array([0, 0, 1, 2, 2, 2, 3])
    outputs = np.eye(5)[[0, 1, 1, 2, 2, 0, 4]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = OURS[name](labels, outputs.argmax(axis=1))
    assert scores([name], labels, outputs, from_logits=False) == {name: pytest.approx(wanted)}


def test_probabilities_add_to_one_whatever_the_model_gives():
    logits = np.array([[1000.0, 0.0, -5.0], [0.0, 0.0, 0.0]], np.float32)
    assert probabilities_of(logits, from_logits=True) == pytest.approx(np.array([[1, 0, 0], [1 / 3] * 3]))
    sigmoids = np.array([[0.9, 0.9, 0.2], [0.0, 0.0, 0.0]], np.float32)
    assert probabilities_of(sigmoids, from_logits=False) == pytest.approx(np.array([[0.45, 0.45, 0.1], [0, 0, 0]]))


def test_a_study_may_prune_and_have_several_objectives_by_them(tmp_path):
    objectives = {"metrics": ["val_f1_macro", "val_loss"]}
    assert make_space(study={"name": "study", **objectives}).directions == ("maximize", "minimize")
    run_sweep(tmp_path / "one", make_space("tpe", "median", study={"name": "study", "metric": "val_f1_macro"}))
    trials = read_trials(tmp_path / "one")
    assert {trial["state"] for trial in trials} == {"COMPLETE", "PRUNED"}
    run_sweep(tmp_path / "two", make_space(study={"name": "study", **objectives}), 3)
    for trial in read_trials(tmp_path / "two"):
        assert trial["values"] == [trial["history"][-1][metric] for metric in objectives["metrics"]]


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (
            {"study": {"name": "s", "metric": "val_f1"}},
            'study: metric "val_f1" is not a metric. Use one of val_accuracy',
        ),
        ({"study": {"name": "s", "metric": "mine:f"}}, "study: direction is missing"),
        (
            {"study": {"name": "s", "metrics": ["loss", "mine:f"]}},
            "study: directions is missing",
        ),
        (
            {"training": {"metrics": ["val_f1"]}},
            'training.metrics: "val_f1" is not a metric. Use one of val_accuracy',
        ),
        ({"training": {"monitor": "accuracy"}}, 'training.monitor: "accuracy" is not one of val_accuracy'),
    ],
)
def test_a_wrong_name_is_said_where_it_stands(section, problem):
    with pytest.raises(SpaceError) as raised:
        make_space(**section)
    assert problem in str(raised.value)


def test_metrics_cannot_vary():
    varied = {"m": {"key": "training.metrics", "type": "categorical", "choices": ["a", "b"]}}
    with pytest.raises(SpaceError, match="all trials have the same metrics"):
        make_space(space=varied)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("", "has no attribute 'worst_recall'"),
        ("worst_recall = 5", "pass a function"),
        ("def worst_recall(labels): pass", "does not return a score: TypeError"),
        ("def worst_recall(labels, probabilities): return 'good'", "gave 'good'; a number is wanted"),
        ("def worst_recall(labels, probabilities): return labels / 2", "a number is wanted"),
        ("def worst_recall(labels, probabilities): return probabilities[5000]", "does not return a score: IndexError"),
    ],
)
def test_a_metric_that_gives_no_number_is_refused_before_anything_trains(place, capsys, code, problem):
    (place / "my_metrics.py").write_text(code)
    (place / "space.toml").write_text(SPACE.replace(', "my_metrics:log_loss"', ""))
    for command in (["run", "space.toml", "--trials", "1"], ["check", "space.toml", "--samples", "1"]):
        sys.modules.pop("my_metrics", None)
        assert main(command) == 2
        error = capsys.readouterr().err
        assert problem in error
        assert "my_metrics:worst_recall" in error
        assert len(error.strip().splitlines()) == 1


def test_what_it_does_in_training_ends_a_trial_alone(place, capsys):
    counted = """
calls = 0

def worst_recall(labels, probabilities):
    global calls
    calls += 1  # one is before the sweep
    if calls == 2:
        raise ValueError("the second")
    return float("nan") if calls == 3 else 0.5
"""
    (place / "my_metrics.py").write_text(counted)
    (place / "space.toml").write_text(SPACE.replace(', "my_metrics:log_loss"', ""))
    assert main(["run", "space.toml", "--trials", "4", "--quiet", "--engine", "packed", "--lanes", "2"]) == 0
    trials = read_trials(place / "studies", "mine")
    assert [trial["state"] for trial in trials] == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    causes = [[trial["user_attrs"][key] for key in ("cause", "error")] for trial in trials[:2]]
    assert causes[0] == ["user_error", "ValueError: the second"]
    assert causes[1] == ["nan", "the my_metrics:worst_recall is not finite after epoch 1"]


@pytest.mark.parametrize("engine", ["packed", "sequential"])
def test_early_stopping_watches_a_metric_of_the_users(place, engine):
    """The one named by its attribute `direction` is minimized; the best epoch's weights are kept."""
    sys.path.insert(0, str(place))
    (place / "my_monitor.py").write_text(
        "calls = []\n"
        "def up_then_down(labels, probabilities):\n"
        "    calls.append(1)\n"
        "    return abs(len(calls) - 3)\n"
        "up_then_down.direction = 'minimize'\n"
    )
    values = {
        "data": {"num_train": 60, "num_validation": 60},
        "model": {"filters": [2]},
        "training": {"epochs": 9, "patience": 2, "monitor": "my_monitor:up_then_down"},
    }
    trained = make_engine(engine, 1, 1, lambda: None)
    trained.admit(0, TrialConfig.from_values(values, "test"))
    history = train_to_the_end(trained)
    assert [record.logs["my_monitor:up_then_down"] for record in history] == [2, 1, 0, 1, 2]
    assert history[-1].best_epoch == 3
    sys.modules.pop("my_monitor")
