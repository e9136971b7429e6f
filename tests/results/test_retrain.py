"""A config becomes models with test scores; what was killed goes on; the saved model needs nothing of ours."""

import json

import keras
import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from sweep.config.trial import TrialConfig
from sweep.data import load, load_raw_test
from sweep.engines.checkpoint import save_checkpoint
from sweep.engines.sequential import SequentialEngine
from sweep.errors import InputError, Interrupted, SweepError
from sweep.results.retrain import Retraining
from sweep.results.seed_results import mean_and_deviation
from sweep.space.runs import seeds_from

SMALL = {"model": {"filters": [4], "dense_units": 8, "dropout": 0.3, "batch_norm": True}, "optimizer": {"name": "adam"}}


def make_config(epochs=4, **sections):
    return TrialConfig.from_values({**SMALL, "training": {"epochs": epochs, "seed": 5}, **sections}, "test")


def retrain(folder, config, num_seeds=1, pause=lambda: None):
    lines: list[str] = []
    content = Retraining(config, num_seeds, folder, lines.append, pause).run()
    return content, lines


def without_seconds(content):
    for seed in content["seeds"]:
        for epoch in seed["history"]:
            epoch.pop("seconds")
    return content


@pytest.mark.slow
def test_seeds_are_trained_scored_on_the_test_set_and_summarised(tmp_path):
    content, lines = retrain(tmp_path, make_config(), num_seeds=2)
    assert (content["num_train"], content["num_validation"], content["num_test"]) == (1149, 288, 360)
    accuracies = [seed["test_accuracy"] for seed in content["seeds"]]
    assert content["test_accuracy"] == mean_and_deviation(accuracies)
    assert accuracies[0] != accuracies[1]
    assert [seed["seed"] for seed in content["seeds"]] == seeds_from(5, 2)
    assert json.loads((tmp_path / "metrics.json").read_text()) == content
    x_test, y_test = load_raw_test(make_config().data)
    model = keras.models.load_model(tmp_path / "model.keras")
    assert np.mean(model.predict(x_test, verbose=0).argmax(1) == y_test) == pytest.approx(accuracies[0])
    second = keras.models.load_model(tmp_path / f"seed-{seeds_from(5, 2)[1]}" / "model.keras")
    assert np.mean(second.predict(x_test, verbose=0).argmax(1) == y_test) == pytest.approx(accuracies[1])
    assert sum("val_accuracy" in line and "learning rate" in line for line in lines) == 8


@pytest.mark.slow
@pytest.mark.parametrize("training", [{"label_smoothing": 0.1}, {"loss": "mean_squared_error"}])
def test_losses_of_one_hot_labels_are_scored_on_the_test_set(tmp_path, training):
    config = make_config(training={"epochs": 2, "seed": 5, **training}, augmentation={"mixup": 0.2})
    content, _ = retrain(tmp_path, config)
    x_test, y_test = load_raw_test(config.data)
    model = keras.models.load_model(tmp_path / "model.keras")
    accuracy = np.mean(model.predict(x_test, verbose=0).argmax(1) == y_test)
    assert content["seeds"][0]["test_accuracy"] == pytest.approx(accuracy)


@pytest.mark.slow
@pytest.mark.parametrize("training", [{"epochs": 6}, {"epochs": 12, "patience": 2, "monitor": "val_accuracy"}])
def test_killed_retrain_goes_on_from_its_last_epoch_bit_for_bit(tmp_path, training):
    config = make_config(training={**training, "seed": 5})
    unbroken, _ = retrain(tmp_path / "unbroken", config, num_seeds=2)
    calls_left = 12  # three an epoch

    def die_later():
        nonlocal calls_left
        calls_left -= 1
        if calls_left == 0:
            raise Interrupted(9)

    with pytest.raises(Interrupted):
        retrain(tmp_path / "killed", config, 2, die_later)
    content, lines = retrain(tmp_path / "killed", config, num_seeds=2)
    assert any("after epoch" in line for line in lines)
    assert without_seconds(content) == without_seconds(unbroken)
    assert not list((tmp_path / "killed").glob("checkpoint*"))


@pytest.mark.slow
def test_finished_folder_is_left_alone_and_more_seeds_join_it(tmp_path):
    one, _ = retrain(tmp_path, make_config(epochs=1))
    again, lines = retrain(tmp_path, make_config(epochs=1))
    assert again == one
    assert lines == []
    two, _ = retrain(tmp_path, make_config(epochs=1), num_seeds=2)
    assert two["seeds"][0] == one["seeds"][0]
    assert len(two["seeds"]) == 2


@pytest.mark.slow
def test_folder_of_another_config_is_refused(tmp_path):
    retrain(tmp_path, make_config(epochs=1))
    with pytest.raises(InputError, match="another config"):
        Retraining(make_config(epochs=2), 1, tmp_path)


def test_damaged_checkpoint_is_one_line(tmp_path):
    (tmp_path / "checkpoint-5.npz").write_bytes(b"torn")
    with pytest.raises(InputError, match=r"checkpoint-5.npz: not a usable checkpoint"):
        retrain(tmp_path, make_config(epochs=1))


HOSTILE_HISTORIES = [
    '[{"epoch": 1, "loss": "</script>"}]',
    '[{"epoch": "<b>", "loss": 1, "accuracy": 1, "val_loss": 1, "val_accuracy": 1, "learning_rate": 1}]',
    '{"epoch": 1}',
    "[1, 2]",
    "[" * 5000,
    "no JSON",
]


@pytest.mark.slow
@pytest.mark.parametrize("history", HOSTILE_HISTORIES)
def test_histories_that_are_no_epochs_are_one_line(tmp_path, history):
    config = make_config(epochs=2)
    engine = SequentialEngine()
    engine.admit(0, config)
    engine.train_epoch()
    save_checkpoint(engine.run(0), tmp_path / "checkpoint-5.npz", history)
    with pytest.raises(InputError, match=r"checkpoint-5.npz: not readable") as caught:
        retrain(tmp_path, config)
    assert "\n" not in str(caught.value)
    (tmp_path / "metrics.json").write_text(f'{{"config": {{}}, "seeds": [{{"seed": 5, "history": {history}}}]}}')
    with pytest.raises(InputError, match=r"metrics.json: not readable"):
        retrain(tmp_path, config)


@pytest.mark.slow
def test_a_script_that_lay_in_the_folder_is_not_the_pages(tmp_path):
    (tmp_path / "plotly.min.js").write_text("alert(1)")
    retrain(tmp_path, make_config(epochs=1))
    assert (tmp_path / "plotly.min.js").read_text() == get_plotlyjs()


@pytest.mark.slow
def test_training_on_train_and_validation_uses_all_that_is_not_test(tmp_path):
    config = make_config(epochs=2, data={"train_on": "train+validation", "scaling": "standard"})
    content, lines = retrain(tmp_path, config)
    assert (content["num_train"], content["num_validation"], content["num_test"]) == (1437, 0, 360)
    assert content["seeds"][0]["history"][0]["val_accuracy"] is None
    assert "val_" not in lines[0]
    both, train = load(config.data), load(make_config().data)
    assert len(np.unique(both.x_train.reshape(1437, -1), axis=0)) > len(train.x_train)
    np.testing.assert_array_equal(load_raw_test(config.data)[1], load_raw_test(make_config().data)[1])


@pytest.mark.slow
def test_divergence_is_said(tmp_path):
    with pytest.raises(SweepError, match="seed 5: the loss is not finite after epoch"):
        retrain(
            tmp_path, make_config(schedule={"initial_rate": 1e30}, optimizer={"name": "sgd"}, model={"filters": [4]})
        )


@pytest.mark.slow
def test_curves_grow_and_stop_reloading_when_done(tmp_path):
    pages = []

    def look():
        if (tmp_path / "curves.html").exists():
            pages.append((tmp_path / "curves.html").read_text())

    retrain(tmp_path, make_config(), pause=look)
    assert all('http-equiv="refresh"' in page for page in pages)
    assert len({len(page) for page in pages}) >= 3
    done = (tmp_path / "curves.html").read_text()
    assert 'http-equiv="refresh"' not in done
    assert (tmp_path / "plotly.min.js").stat().st_size > 1_000_000


def test_deviation_is_the_samples():
    assert mean_and_deviation([0.9, 0.92]) == {"mean": 0.91, "standard_deviation": pytest.approx(0.0141421356)}
    assert mean_and_deviation([0.9]) == {"mean": 0.9, "standard_deviation": None}
    assert mean_and_deviation([]) is None
