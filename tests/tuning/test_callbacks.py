"""A user's callback is one file: it sees a sweep, and cannot harm it."""

import signal
import sys

import optuna
import pytest
from optuna.trial import TrialState
from sweeps import make_space, open_in, read_trials

from sweep.engines.fake import FakeEngine
from sweep.errors import InputError, Interrupted, SpaceError
from sweep.executors.in_process import InProcessExecutor
from sweep.storage import database_url
from sweep.tuning.callback import Callback
from sweep.tuning.callback_list import make_callbacks
from sweep.tuning.limits import Limits
from sweep.tuning.progress import QuietProgress
from sweep.tuning.tuner import Tuner

USERS_FILE = """
import sweep.tuning.callback

class Recorder(sweep.tuning.callback.Callback):
    def __init__(self):
        self.calls, self.epochs = [], []

    def on_sweep_start(self, study, info):
        self.calls.append(f"start {info.num_trials}")

    def on_trial_start(self, trial):
        self.calls.append(f"trial {trial.number} {trial.state.name}")

    def on_epoch_end(self, number, epoch, logs, run=1):
        self.epochs.append((number, epoch, logs["val_accuracy"]))

    def on_trial_end(self, trial):
        self.calls.append(f"trial {trial.number} {trial.state.name}")

    def on_sweep_end(self, study):
        self.calls.append(f"end {len(study.trials)}")
"""


@pytest.fixture
def recorder(tmp_path, monkeypatch):
    (tmp_path / "my_callbacks.py").write_text(USERS_FILE)
    monkeypatch.syspath_prepend(tmp_path)
    yield make_callbacks(["my_callbacks:Recorder"])[0]
    sys.modules.pop("my_callbacks", None)


def sweep(folder, *callbacks, num_trials=3, space=None, num_lanes=1):
    space = space or make_space(epochs=2)
    study = open_in(folder, space, num_lanes=num_lanes)
    executor = InProcessExecutor(FakeEngine(num_lanes))
    Tuner(study, space, executor, Limits(num_trials), QuietProgress(), seed=0, callbacks=callbacks).run()


def test_a_callback_in_a_file_of_the_users_sees_trials_and_epochs(tmp_path, recorder):
    sweep(tmp_path, recorder)
    states = ["RUNNING", "COMPLETE"]
    assert recorder.calls == ["start 3", *(f"trial {n} {s}" for n in range(3) for s in states), "end 3"]
    stored = read_trials(tmp_path)
    assert recorder.epochs == [
        (trial["number"], step + 1, value) for trial in stored for step, value in trial["intermediate_values"].items()
    ]


@pytest.mark.parametrize("error", [ValueError("not\nmine"), SystemExit(0), KeyboardInterrupt()])
@pytest.mark.parametrize("hook", ["on_sweep_start", "on_trial_start", "on_epoch_end", "on_trial_end", "on_sweep_end"])
def test_one_that_raises_is_reported_once_and_the_sweep_is_as_without_it(tmp_path, capsys, hook, error, monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda _: None)  # as a sweep handles SIGINT: the error is the callback's

    class Broken(Callback):
        pass

    def fail(*_):
        raise error

    setattr(Broken, hook, fail)
    sweep(tmp_path / "with", Broken())
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "Broken" in said[0]
    assert type(error).__name__ in said[0]
    sweep(tmp_path / "without")
    assert read_trials(tmp_path / "with") == read_trials(tmp_path / "without")


def test_what_callbacks_are_told_of_is_stored_and_the_database_is_free(tmp_path):
    found = []

    class Look(Callback):
        def on_trial_end(self, trial):
            study = optuna.load_study(study_name="study", storage=database_url(tmp_path))
            found.append((trial.number, study.trials[trial.number].state))
            optuna.create_study(study_name=f"other-{trial.number}", storage=database_url(tmp_path))

    sweep(tmp_path, Look())
    assert found == [(number, TrialState.COMPLETE) for number in range(3)]


def test_a_callback_that_writes_to_the_study_is_dropped_and_nothing_is_written(tmp_path, capsys):
    class Writer(Callback):
        def on_sweep_start(self, study, info):
            self.study = study

        def on_trial_end(self, trial):
            trial.user_attrs["seed"] = trial.params["momentum"] = 0.25
            self.study.tell(self.study.ask(), 1.0)

    sweep(tmp_path / "with", Writer())
    assert "Writer" in capsys.readouterr().err
    sweep(tmp_path / "without")
    assert read_trials(tmp_path / "with") == read_trials(tmp_path / "without")


@pytest.mark.slow
def test_a_signal_within_a_callback_ends_the_sweep_in_order_and_it_resumes(tmp_path):
    class Stop(Callback):
        ended = 0

        def on_epoch_end(self, number, epoch, logs, run=1):
            if number == 1:
                raise Interrupted(signal.SIGINT)

        def on_sweep_end(self, study):
            self.ended += 1

    stop = Stop()
    with pytest.raises(Interrupted):
        sweep(tmp_path / "stopped", stop)
    assert stop.ended == 1
    sweep(tmp_path / "stopped")
    sweep(tmp_path / "unbroken")
    assert read_trials(tmp_path / "stopped") == read_trials(tmp_path / "unbroken")


def test_a_callback_that_is_none_is_refused_by_name(tmp_path, recorder):
    with pytest.raises(SpaceError, match="progres"):
        make_callbacks(["progres"])
    with pytest.raises(InputError, match="json:dumps"):
        make_callbacks(["json:dumps"])
    with pytest.raises(InputError, match="pathlib:Path"):
        make_callbacks(["pathlib:Path"])
    assert make_callbacks([recorder]) == [recorder]
