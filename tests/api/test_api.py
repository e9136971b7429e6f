"""The Python API as a user calls it: what the command can, with objects that come back."""

import subprocess
import sys
from pathlib import Path

import optuna
import pytest

import sweep

ROOT = Path(__file__).parents[2]
SPACE = """
[study]
name = "mine"
num_trials = 5

[training]
epochs = 3

[space.l2]
key = "regularizer.l2"
type = "float"
low = 1e-6
high = 1e-2
log = true
"""
TYPED = """
import pandas
import optuna
import sweep

study: sweep.Study = sweep.run("space.toml", trials=3, overrides={"training.epochs": 2}, workers=1)
frame: pandas.DataFrame = study.dataframe()
best: optuna.trial.FrozenTrial = study.best_trial
accuracy: float = study.retrain(seeds=2).test_accuracy
space: sweep.Space = sweep.load_space("space.toml")
try:
    sweep.load_study("mine").confirm(top=2, seeds=3)
except sweep.errors.StudyError:
    pass


class Counter(sweep.Callback):
    def on_trial_end(self, trial: optuna.trial.FrozenTrial) -> None:
        print(trial.number)
"""


@pytest.fixture
def study(folder):
    return sweep.run("space.toml", engine="fake", quiet=True)


@pytest.mark.slow
def test_a_sweep_gives_its_trials_and_the_same_call_finds_them_again(study, folder):
    frame = study.dataframe()
    assert list(frame.columns) == ["number", "state", "val_accuracy", "l2", "seconds"]
    assert list(frame.number) == [0, 1, 2, 3, 4]
    stored = optuna.load_study(study_name="mine", storage=f"sqlite:///{folder / 'studies' / 'sweep.db'}")
    assert study.best_trial.number == stored.best_trial.number == frame.val_accuracy.idxmax()
    assert study.best_params == stored.best_params
    again = sweep.run("space.toml", engine="fake", quiet=True)
    assert again.dataframe().equals(frame)
    longer = sweep.run("space.toml", trials=7, quiet=True)
    assert longer.dataframe()[:5].equals(frame)
    assert len(longer.dataframe()) == 7


@pytest.mark.slow
def test_a_study_that_exists_is_reported_exported_and_confirmed(study, folder):
    found = sweep.load_study("mine")
    assert "mine" in found.report().read_text()
    (best,) = found.export(top=1)
    assert best.resolve() == folder / "studies" / "mine" / "configs" / f"trial-{study.best_trial.number:05d}.toml"
    confirmation = found.confirm(top=2, seeds=3)
    assert [len(one.scores) for one in confirmation.candidates] == [3, 3]
    assert found.confirmation is not None


def test_options_are_checked_before_anything_is_run(folder):
    for options in ({"trials": 0}, {"timeout": "soon"}, {"lanes": -1}, {"workers": 1.5}, {"retries": 1}):
        with pytest.raises(sweep.errors.InputError) as caught:
            sweep.run("space.toml", engine="fake", quiet=True, **options)
        assert "\n" not in str(caught.value)
    assert not list((folder / "studies").glob("*.db")) or not optuna.get_all_study_names(
        f"sqlite:///{folder / 'studies' / 'sweep.db'}"
    )


def test_a_study_that_is_not_there_is_said_at_once(study):
    with pytest.raises(sweep.errors.StudyError, match="no-such"):
        sweep.load_study("no-such")


class Interrupts(sweep.Callback):
    """As Ctrl-C in a notebook would, in the middle of the sweep."""

    def on_trial_end(self, trial):
        if trial.number == 2:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
def test_a_keyboard_interrupt_ends_the_sweep_in_order_and_the_call_resumes_it(folder):
    with pytest.raises(KeyboardInterrupt):
        sweep.run("space.toml", engine="fake", quiet=True, callbacks=[Interrupts()])
    interrupted = sweep.load_study("mine").dataframe()
    assert 3 <= (interrupted.state == "COMPLETE").sum() < 5
    resumed = sweep.run("space.toml", quiet=True).dataframe()
    unbroken = sweep.run("space.toml", engine="fake", study="unbroken", quiet=True).dataframe()
    assert resumed.drop(columns="seconds").equals(unbroken.drop(columns="seconds"))


def test_a_space_is_built_in_python(folder):
    space = sweep.Space.from_sections(
        study={"name": "built"},
        training={"epochs": 2},
        space={"l2": {"key": "regularizer.l2", "type": "float", "low": 1e-6, "high": 1e-2, "log": True}},
    )
    assert list(sweep.run(space, trials=2, engine="fake", quiet=True).dataframe().state) == ["COMPLETE"] * 2
    with pytest.raises(sweep.errors.SpaceError, match=r"training\.epoch"):
        sweep.Space.from_sections(study={"name": "built"}, training={"epoch": 2})


@pytest.mark.slow
def test_the_names_are_listed_and_typed(tmp_path):
    assert set(sweep.__all__) <= set(dir(sweep))
    assert all(getattr(sweep, name) is not None for name in sweep.__all__)
    (tmp_path / "typed.py").write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]
    done = subprocess.run([*command, str(tmp_path / "typed.py")], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout
