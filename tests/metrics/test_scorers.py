"""scikit-learn's scorers by their own names, and objective, pruner and early stopping that watch different metrics."""

import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import get_scorer
from sklearn.naive_bayes import GaussianNB
from sweeps import make_space, read_trials, run_sweep

from sweep.cli.parser import main
from sweep.engines.device import Device
from sweep.errors import SpaceError
from sweep.metrics import SCORERS
from sweep.metrics.scores import scores
from sweep.space.space import PrunerChoice, Space

SPACE = """
[study]
name = "scored"
metric = "f1_macro"
[data]
num_train = 200
num_validation = 120
[model]
filters = [4]
[training]
epochs = 3
patience = 2
monitor = "neg_log_loss"
metrics = ["roc_auc_ovr", "top_3_accuracy", "matthews_corrcoef"]
[sampler]
name = "random"
[pruner]
name = "threshold"
upper = -0.01
monitor = "val_loss"
[space.rate]
key = "schedule.initial_learning_rate"
type = "float"
low = 1e-3
high = 1e-2
log = true
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with a space file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    cpu = Device("cpu", "cpu", "tensorflow")  # TensorFlow's threads can be set once in a process
    monkeypatch.setattr("sweep.engines.backends.tensorflow.set_up_device", lambda *_: cpu)
    (tmp_path / "space.toml").write_text(SPACE)
    return tmp_path


@pytest.mark.parametrize("num_classes", [2, 4])
def test_a_scorer_gives_of_probabilities_what_it_gives_of_the_classifier(num_classes):
    rng = np.random.default_rng(0)
    labels = np.arange(200) % num_classes
    features = rng.normal(size=(200, 3)) + labels[:, None] / 2
    classifier = GaussianNB().fit(features, labels)
    outputs, num_compared = classifier.predict_proba(features), 0
    for name in SCORERS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                wanted = get_scorer(name)(classifier, features, labels)
            except ValueError:  # not for so many classes, or not in this version
                with pytest.raises(ValueError):  # noqa: PT011
                    scores([name], labels, outputs, from_logits=False)
                continue
        assert scores([name], labels, outputs, from_logits=False) == {name: pytest.approx(wanted, abs=1e-5)}
        num_compared += 1
    assert num_compared >= (len(SCORERS) if num_classes == 2 else 15) - 4


def test_top_k_is_the_fraction_of_labels_among_the_k_most_probable():
    outputs = np.array([[0.4, 0.3, 0.2, 0.1], [0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]], np.float32)
    labels = np.array([2, 3, 1])
    assert scores(["top_2_accuracy"], labels, outputs, from_logits=False) == {"top_2_accuracy": 0.0}
    assert scores(["top_3_accuracy"], labels, outputs, from_logits=False) == {"top_3_accuracy": pytest.approx(2 / 3)}
    with pytest.raises(ValueError, match="always right"):
        scores(["top_4_accuracy"], labels, outputs, from_logits=False)


def test_a_class_that_is_never_predicted_warns_no_one_after_each_epoch():
    labels, outputs = np.array([0, 1, 2]), np.eye(3)[[0, 0, 0]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scores(["precision_macro"], labels, outputs, from_logits=False)["precision_macro"] == pytest.approx(
            1 / 9
        )


@pytest.mark.slow
def test_objective_pruner_and_early_stopping_watch_different_metrics_on_lanes_as_sequentially(place, capsys):
    for name, engine in (("one", ["sequential"]), ("four", ["packed", "--lanes", "4"])):
        assert main(["run", "space.toml", "--study", name, "--trials", "4", "--quiet", "--engine", *engine]) == 0
    one, four = (read_trials(place / "studies", name) for name in ("one", "four"))
    for ours, theirs in zip(four, one, strict=True):
        for packed, sequential in zip(ours["history"], theirs["history"], strict=True):
            for metric in ("f1_macro", "neg_log_loss", "roc_auc_ovr", "top_3_accuracy", "matthews_corrcoef"):
                assert packed[metric] == pytest.approx(sequential[metric], abs=1e-5)
        assert [*ours["intermediate_values"].values()] == pytest.approx(
            [-epoch["val_loss"] for epoch in ours["history"]]
        )
        best = max(ours["history"], key=lambda epoch: epoch["neg_log_loss"])
        assert ours["values"] == [best["f1_macro"]]
    capsys.readouterr()
    assert main(["report", "four", "--out", "page.html"]) == 0
    assert main(["export", "four"]) == 0
    path = max((place / "studies" / "four").rglob("trial-*.toml"))
    assert main(["retrain", str(path), "--verify"]) == 0


def test_a_median_pruner_prunes_what_is_worse_by_its_monitor(tmp_path):
    pruner = PrunerChoice(name="median", options={"n_startup_trials": 2}, monitor="val_loss")
    run_sweep(tmp_path, replace(make_space(), pruner=pruner))
    trials = read_trials(tmp_path)
    pruned = [trial for trial in trials if trial["state"] == "PRUNED"]
    assert pruned
    for trial in trials:
        losses = [epoch["val_loss"] for epoch in trial["history"]]
        assert [*trial["intermediate_values"].values()] == [-loss for loss in losses]
        earlier = [one["history"] for one in trials[: trial["number"]] if one["state"] == "COMPLETE"]
        if trial["state"] == "PRUNED":
            last = len(losses) - 1
            assert min(losses) > np.median([history[last]["val_loss"] for history in earlier])
        else:
            assert trial["values"] == [trial["history"][-1]["val_accuracy"]]


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        ({"study": {"name": "s", "metric": "f1_macr"}}, 'did you mean "f1_macro"'),
        ({"pruner": {"name": "median", "monitor": "val_los"}}, 'pruner.monitor: "val_los" is not a metric'),
        ({"pruner": {"name": "median", "monitor": "seconds"}}, "pruner.monitor: seconds differs from run to run"),
        ({"training": {"metrics": ["top_0_accuracy"]}}, '"top_0_accuracy" is not a metric'),
    ],
)
def test_a_wrong_name_is_refused_with_the_fix(sections, problem):
    with pytest.raises(SpaceError) as raised:
        Space.from_sections(**{"study": {"name": "s"}, **sections})
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (('"threshold"\nupper = -0.01', '"none"'), "pruner.monitor: has no effect without a pruner"),
        (('"f1_macro"', '"roc_auc"'), "roc_auc does not return a score: ValueError"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_anything_trains(place, capsys, change, problem):
    (place / "space.toml").write_text(SPACE.replace(*change))
    assert main(["run", "space.toml", "--trials", "1"]) == 2
    error = capsys.readouterr().err
    assert problem in error
    assert len(error.strip().splitlines()) == 1
