"""sweep.Objective in a plain `study.optimize`: prunes, completes, repeats itself, and takes a user's own builder."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import keras
import optuna
import pytest
from optuna.trial import TrialState

import sweep
from sweep.errors import DataError, InputError, SpaceError, StudyError, SweepError

HEAD = '[study]\nname = "test"\n[data]\nnum_train = 150\nnum_validation = 280\n'
TRAINING = "[training]\nepochs = 4\nbatch_size = 32\n"
RATE = '[space.rate]\nkey = "schedule.initial_learning_rate"\ntype = "float"\nlow = 1e-9\nhigh = 1e30\nlog = true\n'
SMALL = HEAD + TRAINING + "[model]\nfilters = [4]\ndense_units = 8\n" + RATE
BUILDERS = """
import keras

CALLS = []

def build(image_shape, num_classes, width, depth, activation="relu"):
    CALLS.append({"width": width, "depth": depth, "activation": activation})
    layers = [keras.layers.Dense(width, activation) for _ in range(depth)]
    outputs = keras.layers.Dense(num_classes, "softmax")
    return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(), *layers, outputs])
"""


class CountEnds(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.num_ends = 0

    def on_train_end(self, logs: Any = None) -> None:
        self.num_ends += 1


def space_file(folder: Path, text: str) -> Path:
    file = folder / "my.toml"
    file.write_text(text, encoding="utf-8")
    return file


def study_of(rates: list[float], pruner: Any = None) -> optuna.Study:
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for rate in rates:
        study.enqueue_trial({"rate": rate})
    return study


@pytest.mark.slow
def test_a_plain_study_prunes_and_completes(tmp_path: Path) -> None:
    ends = CountEnds()
    objective = sweep.Objective(space_file(tmp_path, SMALL), callbacks=lambda _: [ends])
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1)
    study = study_of([1e-2, 1e-9, 2e-2], pruner)
    study.optimize(objective, n_trials=3)
    good, bad, _ = study.trials
    assert (good.state, bad.state) == (TrialState.COMPLETE, TrialState.PRUNED)
    assert list(good.intermediate_values) == [0, 1, 2, 3]
    assert good.value == good.intermediate_values[3]
    assert len(bad.intermediate_values) < 4
    assert ends.num_ends == 3


def test_the_value_is_that_of_the_epoch_whose_weights_are_kept(tmp_path: Path) -> None:
    objective = sweep.Objective(
        space_file(tmp_path, SMALL),
        ["training.patience=4", "training.monitor=val_accuracy"],
        callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 if epoch < 2 else 100.0)],
    )
    study = study_of([1e-2])
    study.optimize(objective, n_trials=1)
    values = study.trials[0].intermediate_values
    assert study.best_value == max(values.values()) > values[3]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_values_and_another_one_others(tmp_path: Path) -> None:
    file = space_file(tmp_path, SMALL)
    values = []
    for seed in (None, 0, 1):
        study = study_of([1e-2])
        study.optimize(sweep.Objective(file, ["training.epochs=1"], seed=seed), n_trials=1)
        values.append(study.trials[0].intermediate_values)
    assert values[0] == values[1] != values[2]


@pytest.mark.slow
def test_two_trials_at_a_time_score_what_each_scores_alone(tmp_path: Path) -> None:
    """Seeds, sessions and precision are the process's: without a lock one trial draws the other's weights."""
    objective = sweep.Objective(space_file(tmp_path, SMALL), ["training.epochs=2", "model.dropout=0.5"])
    scores = []
    for num_jobs in (1, 2):
        study = study_of([1e-2, 2e-2, 3e-2, 4e-2])
        study.optimize(objective, n_trials=4, n_jobs=num_jobs)
        scores.append([trial.intermediate_values for trial in study.trials])
    assert scores[0] == scores[1]
    assert len({tuple(values.values()) for values in scores[0]}) == 4


@pytest.mark.slow
def test_each_trial_has_callbacks_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared ModelCheckpoint remembers the best of the first trial, and saves no other."""
    monkeypatch.chdir(tmp_path)
    one = keras.callbacks.ModelCheckpoint("copied.weights.h5", "val_loss", save_best_only=True, save_weights_only=True)
    saved = []

    def make(trial: optuna.Trial) -> list[Any]:
        file = f"{trial.number}.weights.h5"
        saver = keras.callbacks.ModelCheckpoint(file, "val_loss", save_best_only=True, save_weights_only=True)
        backup = keras.callbacks.BackupAndRestore(f"backup-{trial.number}", delete_checkpoint=False)
        return [saver, backup, keras.callbacks.CSVLogger(f"log-{trial.number}.csv")]

    for callbacks in ([one], make):
        objective = sweep.Objective(space_file(tmp_path, SMALL), ["training.epochs=1"], callbacks=callbacks)
        study = study_of([1e-2, 1e-9])
        for _ in range(2):
            Path("copied.weights.h5").unlink(missing_ok=True)
            study.optimize(objective, n_trials=1)
            saved.append(Path("copied.weights.h5").exists())
    assert saved == [True, True, False, False]
    assert Path("0.weights.h5").exists()
    assert Path("1.weights.h5").exists()
    assert Path("log-1.csv").exists()
    assert [*Path("backup-1").iterdir()]


class Batches(keras.callbacks.Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("callback", "words"),
    [
        (Batches(), ["Batches", "on_train_batch_end"]),
        (keras.callbacks.LambdaCallback(on_train_batch_begin=print), ["LambdaCallback", "on_train_batch_begin"]),
        (keras.callbacks.ModelCheckpoint("x.keras", save_freq=10), ["ModelCheckpoint", "on_train_batch_end"]),
        (keras.callbacks.BackupAndRestore("x", save_freq=10), ["BackupAndRestore", "on_train_batch_end"]),
        (keras.callbacks.TerminateOnNaN(), ["TerminateOnNaN", "on_batch_end"]),
    ],
)
def test_a_hook_that_would_never_be_called_is_refused(callback: Any, words: list[str], tmp_path: Path) -> None:
    file = space_file(tmp_path, SMALL)
    with pytest.raises(InputError) as refused:
        sweep.Objective(file, callbacks=[callback])
    assert all(word in str(refused.value) for word in words)
    study = study_of([1e-2])
    with pytest.raises(InputError, match=words[0]):
        study.optimize(sweep.Objective(file, callbacks=lambda _: [callback]), n_trials=1)


def test_a_callback_that_cannot_be_copied_is_refused_with_the_way_out(tmp_path: Path) -> None:
    holder = CountEnds()
    holder.lock = threading.Lock()
    with pytest.raises(InputError, match=r"CountEnds.*lambda trial"):
        sweep.Objective(space_file(tmp_path, SMALL), callbacks=[holder])


def test_a_diverging_trial_fails_with_its_cause(tmp_path: Path) -> None:
    study = study_of([1e30])
    with pytest.raises(SweepError, match="the loss is not finite after epoch 1"):
        study.optimize(sweep.Objective(space_file(tmp_path, SMALL), ["optimizer.name=sgd"]), n_trials=1)
    assert study.trials[0].state == TrialState.FAIL


def test_a_users_builder_is_swept_over_options_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_swept_models.py").write_text(BUILDERS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    text = (
        f'{HEAD}{TRAINING}[model]\nbuilder = "my_swept_models:build"\n[model.options]\nactivation = "tanh"\n'
        '[space.width]\nkey = "model.options.width"\ntype = "int"\nlow = 8\nhigh = 32\nlog = true\n'
        '[space.depth]\nkey = "model.options.depth"\ntype = "categorical"\nchoices = [1, 2]\n'
        '[space.momentum]\nkey = "optimizer.momentum"\ntype = "float"\nlow = 0.0\nhigh = 0.9\n'
    )
    objective = sweep.Objective(space_file(tmp_path, text))
    assert "my_swept_models" not in sys.modules, "nothing is imported before a model is built"
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=3)
    drawn = [{key: trial.params[key] for key in ("width", "depth")} for trial in study.trials]
    assert [{**params, "activation": "tanh"} for params in drawn] == sys.modules["my_swept_models"].CALLS
    assert len({tuple(params.values()) for params in drawn}) > 1
    assert study.best_value > 0.3, "it learns: a tenth is chance"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "error", "pattern"),
    [
        (SMALL.replace("epochs", "epoch"), SpaceError, "my.toml: training.epoch: unknown key"),
        (SMALL.replace("filters = [4]", "filters = [4, 4, 4]"), SpaceError, "my.toml: .*leaves no feature map"),
        (SMALL.replace("num_train = 150", "num_train = 9999"), DataError, "data.num_train = 9999 does not fit"),
        (SMALL.replace('name = "test"', 'name = "test"\nmetric = "f2"'), SpaceError, 'my.toml: study: metric "f2"'),
    ],
)
def test_a_wrong_file_is_said_before_any_trial(text: str, error: type[Exception], pattern: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=pattern):
        sweep.Objective(space_file(tmp_path, text))


@pytest.mark.slow
def test_trials_of_a_plain_study_are_exported_verified_and_confirmed(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1)
    storage = f"sqlite:///{tmp_path / 'studies' / 'sweep.db'}"
    study = optuna.create_study(direction="maximize", pruner=pruner, storage=storage, study_name="plain")
    for rate in (1e-2, 1e-9, 2e-2):
        study.enqueue_trial({"rate": rate})
    study.optimize(sweep.Objective(space_file(tmp_path, SMALL)), n_trials=3)
    found = sweep.load_study("plain")
    (path,) = found.export(top=1)
    assert f"trial-{study.best_trial.number:05d}" in path.name
    verify = [sys.executable, "-m", "sweep.cli", "retrain", str(path), "--verify"]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    confirmed = found.confirm(top=1, seeds=2)
    assert len(confirmed.candidates[0].scores) == 2


def test_a_study_with_the_wrong_direction_is_refused(tmp_path: Path) -> None:
    study = optuna.create_study(direction="minimize")
    with pytest.raises(StudyError, match="maximize val_accuracy"):
        study.optimize(sweep.Objective(space_file(tmp_path, SMALL)), n_trials=1)


def test_a_study_of_another_space_keeps_its_settings(tmp_path: Path) -> None:
    study = study_of([1e-2, 1e-2])
    study.optimize(sweep.Objective(space_file(tmp_path, SMALL)), n_trials=1)
    before = study.user_attrs
    with pytest.warns(UserWarning, match="other settings"):
        study.optimize(sweep.Objective(space_file(tmp_path, SMALL.replace("[4]", "[2]"))), n_trials=1)
    assert study.user_attrs == before
