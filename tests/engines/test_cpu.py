"""oneDNN: on for new studies on x86, recorded, kept on resume and in workers; old studies leave it to TensorFlow."""

import json
import os
import platform
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing

import pytest

from sweep.cli.parser import main
from sweep.config.file import Provenance
from sweep.config.study_settings import StudySettings
from sweep.engines import cpu
from sweep.engines.device import Device
from sweep.executors.local.workers import LocalWorkers
from sweep.tuning import probing as settle

SPACE = """
study = { name = "small", num_trials = 2 }
sampler = { name = "random" }
training = { epochs = 2 }

[model]
family = "mlp"
hidden_units = [8]

[space.l2]
key = "regularizer.l2"
type = "float"
low = 1e-6
high = 1e-2
log = true
"""
RUN = """
import json, sys
from sweep.cli.parser import main
code = main(sys.argv[1:])
from sweep.engines.cpu import is_onednn_on
print(json.dumps({"code": code, "on": is_onednn_on()}))
"""


def sweep(folder, *arguments, onednn=None):
    """A command in a process of its own; its output, and whether TensorFlow used oneDNN there."""
    environment = {name: value for name, value in os.environ.items() if name != cpu.ONEDNN}
    environment |= {} if onednn is None else {cpu.ONEDNN: onednn}
    command = [sys.executable, "-c", RUN, *arguments]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.stdout, result.stderr
    said = json.loads(result.stdout.splitlines()[-1])
    assert said["code"] == 0, result.stdout + result.stderr
    return result.stdout, said["on"]


def settings(folder):
    """Stored with the study."""
    with closing(sqlite3.connect(folder / "studies" / "sweep.db")) as database:
        query = "SELECT value_json FROM study_user_attributes WHERE key = 'sweep'"
        return json.loads(database.execute(query).fetchone()[0])


@pytest.mark.parametrize(
    ("machine", "given", "expected"),
    [("x86_64", None, True), ("AMD64", None, True), ("aarch64", None, None), ("x86_64", "0", None)],
)
def test_new_studies_use_onednn_on_x86_unless_the_user_has_set_the_variable(monkeypatch, machine, given, expected):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.delenv(cpu.ONEDNN, raising=False)
    if given is not None:
        monkeypatch.setenv(cpu.ONEDNN, given)
    assert cpu.default_onednn() is expected


@pytest.mark.slow
@pytest.mark.skipif(platform.machine().lower() not in cpu.X86, reason="the default is for x86")
def test_a_study_keeps_the_onednn_it_began_with_and_its_export_repeats_it(tmp_path):
    (tmp_path / "space.toml").write_text(SPACE)
    run = ("run", "space.toml", "--device", "cpu")
    _, is_on = sweep(tmp_path, *run, "--trials", "2")
    assert is_on
    assert settings(tmp_path)["onednn"] is True
    said, is_on = sweep(tmp_path, *run, "--trials", "3", onednn="0")
    assert is_on
    assert "TF_ENABLE_ONEDNN_OPTS=0 is ignored" in said
    sweep(tmp_path, "export", "small", "--trial", "2")
    exported = tmp_path / "studies" / "small" / "configs" / "trial-00002.toml"
    assert tomllib.loads(exported.read_text())["provenance"]["onednn"] is True
    _, is_on = sweep(tmp_path, "retrain", str(exported), "--verify", "--device", "cpu", onednn="0")
    assert is_on


@pytest.mark.slow
def test_what_the_user_has_set_is_recorded(tmp_path):
    (tmp_path / "space.toml").write_text(SPACE)
    _, is_on = sweep(tmp_path, "run", "space.toml", "--device", "cpu", "--trials", "1", onednn="0")
    assert not is_on
    assert settings(tmp_path)["onednn"] is False


@pytest.mark.slow
def test_a_study_from_before_it_was_recorded_leaves_it_to_tensorflow(folder, monkeypatch):
    wanted = []

    def set_up(*_, onednn, **__):
        wanted.append(onednn)
        return Device("cpu", "cpu", "tensorflow", onednn=True)

    monkeypatch.setattr(settle, "set_up_device", set_up)
    run = ["run", "space.toml", "--engine", "sequential", "--trials"]
    with monkeypatch.context() as before:
        record = StudySettings.record
        before.setattr(StudySettings, "record", lambda self: {k: v for k, v in record(self).items() if k != "onednn"})
        assert main([*run, "1"]) == 0
    assert "onednn" not in settings(folder)
    assert main([*run, "2"]) == 0
    assert wanted[-1] is None
    assert "onednn" not in settings(folder)


def test_export_from_before_it_was_recorded_leaves_it_to_tensorflow():
    names = {"study": "study", "state": "COMPLETE", "metric": "val_accuracy", "data_hash": "", "command": ""}
    where = {"engine": "packed", "num_lanes": 4, "threads": 1, "device": "cpu", "keras_backend": "tensorflow"}
    counts = {"trial": 0, "num_epochs": 3, "best_epoch": 2, "seed": 0}
    assert Provenance(score=0.5, params={}, versions={}, **names, **where, **counts).onednn is None


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [True, False])
def test_workers_get_the_studys_setting(monkeypatch, wanted):
    monkeypatch.setenv(cpu.ONEDNN, str(int(not wanted)))
    with LocalWorkers([{}]) as workers:
        device = workers.set_up("cpu", 1, onednn=wanted)
    assert device.onednn is wanted
    assert "is ignored" in device.note
