"""What Keras cannot save is said before it is trained, and nothing that was trained is lost to it."""

import errno
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from models_to_save import darker, incomplete, without_config

import sweep.results.retrain
from sweep.config.trial import TrialConfig
from sweep.data import load_raw_test
from sweep.errors import InputError
from sweep.results.retrain import Retraining, evaluate, retraining_lock
from sweep.results.saved_model import usage_lines


def make_config(builder=None, **sections):
    model = {"filters": [4], "dense_units": 8} if builder is None else {"builder": f"models_to_save:{builder}"}
    return TrialConfig.from_values({"model": model, "training": {"epochs": 2}, **sections}, "test")


def retrain(folder, config, num_seeds=1):
    lines: list[str] = []
    content = Retraining(config, num_seeds, folder, lines.append).run()
    return content, lines


def scores_of(content):
    return content["test_accuracy"], content["test_loss"], [seed["seed"] for seed in content["seeds"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "word", "files"),
    [
        (without_config, "NotImplementedError", ["scaling.keras"]),
        (incomplete, "TypeError", ["model.keras", "scaling.keras"]),
    ],
)
def test_a_model_that_cannot_be_saved_or_loaded_keeps_weights_and_scores(tmp_path, build, word, files):
    content, lines = retrain(tmp_path, make_config(build.__name__))
    assert "model.keras" in lines[0]
    assert word in lines[0]
    assert "epoch 1/2" in lines[1]
    assert sorted(path.name for path in (*tmp_path.glob("*.keras"), *tmp_path.glob(".*"))) == files
    network, scaling = build((8, 8, 1), 10), keras.models.load_model(tmp_path / "scaling.keras")
    network(keras.Input((8, 8, 1)))
    network.load_weights(tmp_path / "model.weights.h5")
    network.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    images, labels = load_raw_test(make_config().data)
    assert evaluate(network, scaling.predict(images), labels)[1] == content["seeds"][0]["test_accuracy"]
    lines = usage_lines(tmp_path, content)
    assert str(tmp_path / "scaling.keras") in lines[0]
    assert not [line for line in lines if "model.keras" in line]
    again, lines = retrain(tmp_path, make_config(build.__name__))
    assert (again, lines) == (content, [])


@pytest.mark.slow
@pytest.mark.parametrize(("builder", "word"), [("with_lambda", "Lambda"), ("forgetful", "get_config")])
def test_a_model_that_loads_as_something_else_is_said_before_it_is_trained(tmp_path, builder, word):
    content, lines = retrain(tmp_path, make_config(builder))
    assert "model.keras" in lines[0]
    assert word in lines[0]
    assert word in content["seeds"][0]["problem"]
    assert (tmp_path / "model.keras").exists()
    assert (tmp_path / "model.weights.h5").exists()


RAW = {
    "pixel by pixel": make_config(data={"scaling": "standard"}),
    "bfloat16": make_config(training={"epochs": 2, "precision": "mixed_bfloat16"}),
    "a model of two ways": make_config("functional", data={"scaling": "standard"}),
}
USE = """
import json, sys, keras, numpy as np
for folder in sys.argv[1:]:
    with np.load(folder + "/images.npz") as arrays:
        images, labels = arrays["images"], arrays["labels"]
    whole = keras.models.load_model(folder + "/model.keras")
    assert int(whole.optimizer.iterations) > 0
    parts = keras.models.model_from_json(open(folder + "/model.json").read())
    parts.load_weights(folder + "/model.weights.h5")
    predictions = [model.predict(images, verbose=0) for model in (whole, parts)]
    np.testing.assert_array_equal(*predictions)
    names = np.array(json.load(open(folder + "/classes.json")))
    print(np.mean(names[predictions[0].argmax(1)] == labels.astype(str)))
assert not [name for name in sys.modules if name.split(".")[0] == "sweep"]
"""


@pytest.mark.slow
def test_the_saved_model_takes_raw_images_without_us_and_scores_what_was_said(tmp_path):
    folders, said = [tmp_path / name for name in RAW], []
    for folder, config in zip(folders, RAW.values(), strict=True):
        content, _ = retrain(folder, config)
        said.append(content["seeds"][0]["test_accuracy"])
        images, labels = load_raw_test(config.data)
        assert images.shape == (360, 8, 8)
        assert images.max() == 16
        np.savez(folder / "images.npz", images=images, labels=labels)
    command = [sys.executable, "-c", USE, *map(str, folders)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert [float(line) for line in printed.splitlines()] == pytest.approx(said, abs=1 / 360)


@pytest.mark.slow
def test_images_that_are_not_scaled_are_taken_as_they_are(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 6, 6, 3)).astype(np.uint8)
    np.savez(tmp_path / "mine.npz", x=images, y=np.arange(60) % 3)
    data = {"name": "npz", "path": str(tmp_path / "mine.npz"), "scaling": "none"}
    content, _ = retrain(tmp_path / "models", make_config("functional", data=data))
    assert content["input_shape"] == [6, 6, 3]
    assert len(keras.models.load_model(tmp_path / "models" / "model.keras").layers) > 5


@pytest.mark.slow
def test_a_users_class_is_given_floats_when_bytes_are_not_scaled(tmp_path):
    """Keras casts to float32 at an Input, which such a class has not."""
    images = np.random.default_rng(0).integers(0, 256, (60, 6, 6, 3)).astype(np.uint8)
    np.savez(tmp_path / "mine.npz", x=images, y=np.arange(60) % 3)
    data = {"name": "npz", "path": str(tmp_path / "mine.npz"), "scaling": "none"}
    content, _ = retrain(tmp_path / "models", make_config("darker", data=data))
    assert content["seeds"][0]["problem"] is None
    model = keras.models.load_model(tmp_path / "models" / "model.keras", compile=False)
    network, floats = darker((6, 6, 3), 3), images.astype(np.float32)
    network(floats)
    network.set_weights(model.get_weights())
    expected = network.predict(floats, verbose=0)
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-5)


@pytest.mark.slow
def test_the_lines_that_are_said_use_the_model(tmp_path):
    content, _ = retrain(tmp_path, make_config())
    images, labels = load_raw_test(make_config().data)
    given = {"keras": keras, "images": images}
    load_model, predict = usage_lines(tmp_path, content)
    exec(load_model, given)
    assert np.mean(eval(predict, given).argmax(1) == labels) == pytest.approx(content["test_accuracy"]["mean"])
    assert str(tmp_path / "classes.json") in predict
    del content["seeds"][0]["takes_raw_images"]
    (tmp_path / "metrics.json").write_text(json.dumps(content))
    old, lines = retrain(tmp_path, make_config())
    assert lines == []
    assert "scaled" in usage_lines(tmp_path, old)[0]


class Killed(BaseException):
    """Stands in for kill -9."""


@pytest.mark.slow
def test_what_a_kill_between_scores_and_model_has_left_out_is_made_up_for(tmp_path, monkeypatch):
    unbroken, _ = retrain(tmp_path / "unbroken", make_config())

    def die(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(sweep.results.retrain, "save_model", die)
        with pytest.raises(Killed):
            retrain(tmp_path / "killed", make_config())
    stored = json.loads((tmp_path / "killed" / "metrics.json").read_text())
    assert scores_of(stored) == scores_of(unbroken)
    content, _ = retrain(tmp_path / "killed", make_config())
    assert scores_of(content) == scores_of(unbroken)
    names = [sorted(path.name for path in (tmp_path / place).iterdir()) for place in ("killed", "unbroken")]
    assert names[0] == names[1]


def test_a_second_retrain_into_the_same_folder_is_refused(tmp_path):
    with (
        retraining_lock(tmp_path / "models"),
        pytest.raises(InputError) as caught,
        retraining_lock(tmp_path / "models"),
    ):
        pass
    assert str(tmp_path / "models") in str(caught.value)
    assert f"process {os.getpid()}" in str(caught.value)
    (tmp_path / "models" / ".unfinished.1.model.keras").write_text("half")
    (tmp_path / "models" / ".unfinished.untrained.keras").write_text("half")
    with retraining_lock(tmp_path / "models"):
        assert [path.name for path in (tmp_path / "models").iterdir()] == [".lock"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match=r"file: cannot be written"), retraining_lock(tmp_path / "file"):
        pass


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    with (
        pytest.raises(InputError, match=r"does not support locks.*--out") as caught,
        retraining_lock(tmp_path / "models"),
    ):
        pass
    assert str(tmp_path / "models") in str(caught.value)


@pytest.mark.slow
def test_scores_from_before_a_key_of_today_are_read(tmp_path):
    content, _ = retrain(tmp_path, make_config())
    del content["config"]["training"]["precision"]
    for seed in content["seeds"]:
        del seed["is_saved"], seed["problem"], seed["takes_raw_images"]
    (tmp_path / "metrics.json").write_text(json.dumps(content))
    again, lines = retrain(tmp_path, make_config())
    assert (scores_of(again), lines) == (scores_of(content), [])


@pytest.mark.slow
def test_scores_of_more_seeds_than_are_asked_for_are_kept(tmp_path):
    two, _ = retrain(tmp_path, make_config(), num_seeds=2)
    one, lines = retrain(tmp_path, make_config(), num_seeds=1)
    assert (scores_of(one), lines) == (scores_of(two), [])


def test_a_folder_that_cannot_hold_the_model_is_said_before_it_is_trained(tmp_path):
    lines: list[str] = []
    retraining = Retraining(make_config(), 1, tmp_path / "models", lines.append)
    (tmp_path / "models" / ".unfinished.untrained.keras").mkdir()
    with pytest.raises(InputError, match=r"untrained\.keras"):
        retraining.run()
    assert lines == []
