"""What the code of commit 6325a5a made, before the packages were rebuilt, is still resumed, shown, verified, retrained.

`made_before/sweep.db` holds two studies, one of which was confirmed, `old-digits/` an exported config and the folder of
its retrained model. `resumed.json` has the trials that the same code told when it resumed both studies.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import optuna
import pytest

from sweep.cli.parser import main
from sweep.config.data import DataConfig
from sweep.config.file import read_config
from sweep.data import load_raw_test
from sweep.engines.cpu import cpu_flags

MADE = Path(__file__).parent / "made_before"
EXPECTED = json.loads((MADE / "resumed.json").read_text())
CONFIG = "old-digits/configs/trial-00001.toml"
MODEL = "old-digits/models/trial-00001"


@pytest.fixture
def studies(tmp_path):
    return shutil.copytree(MADE, tmp_path / "studies")


def sweep(*arguments):
    """A command that trains, which sets up TensorFlow for its process."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    command = [sys.executable, "-m", "sweep.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def sweep_here(*arguments):
    assert main([*map(str, arguments)]) == 0


def trials(studies, name):
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{studies / 'sweep.db'}")
    return [
        {
            "state": trial.state.name,
            "value": trial.value,
            "params": trial.params,
            "intermediate_values": {str(step): value for step, value in trial.intermediate_values.items()},
        }
        for trial in study.get_trials()
    ]


def test_a_study_is_resumed_as_the_code_that_made_it_would_have(studies):
    options = ("--trials", 40, "--threads", 2, "--lanes", 4, "--quiet")
    sweep_here("run", studies / "fake.toml", *options, "--studies", studies)
    assert trials(studies, "old-fake") == EXPECTED["old-fake"]


@pytest.mark.slow
@pytest.mark.skipif(
    not set(EXPECTED["cpu_flags"]) <= cpu_flags(), reason="bits of trained weights depend on the processor's flags"
)
def test_a_trained_study_is_resumed_bit_for_bit(studies):
    sweep("run", studies / "digits.toml", "--trials", 6, "--threads", 2, "--lanes", 2, "--studies", studies, "--quiet")
    assert trials(studies, "old-digits") == EXPECTED["old-digits"]


def test_studies_and_their_confirmation_are_shown(studies, capsys):
    sweep_here("list", "--json", "--studies", studies)
    listed = json.loads(capsys.readouterr().out)
    assert {study["study"]: sum(study["num_trials"].values()) for study in listed} == {"old-digits": 4, "old-fake": 25}
    sweep_here("show", "old-digits", "--json", "--studies", studies)
    shown = json.loads(capsys.readouterr().out)
    assert [trial["value"] for trial in shown["trials"]] == [trial["value"] for trial in EXPECTED["old-digits"][:4]]
    assert set(shown["user_attrs"]["confirmation"]["candidates"]) == {"1", "3"}
    sweep_here("report", "old-digits", "--studies", studies)
    assert "old-digits" in (studies / "old-digits" / "report.html").read_text()


@pytest.mark.slow
def test_an_exported_config_still_gives_its_stored_score_and_is_exported_alike(studies, tmp_path):
    sweep("retrain", studies / CONFIG, "--verify", "--studies", studies)
    sweep_here("export", "old-digits", "--trial", 1, "--out", tmp_path / "again", "--studies", studies)
    config, provenance = read_config(tmp_path / "again" / "trial-00001.toml")
    before, provenance_before = read_config(MADE / CONFIG)  # with the keys of that time
    assert config == before
    later = {"confirmed_rank", "confirmed_mean", "confirmed_num_seeds", "losses"}  # than that export
    assert provenance.model_dump(exclude=later) == provenance_before.model_dump(exclude=later)
    assert provenance.confirmed_num_seeds is not None


@pytest.mark.slow
def test_a_retrained_model_is_loaded_and_its_folder_takes_another_seed(studies):
    before = json.loads((studies / MODEL / "metrics.json").read_text())
    model = keras.models.load_model(studies / MODEL / "model.keras")
    images, labels = load_raw_test(DataConfig(name="digits"))
    accuracy = np.mean(np.argmax(model.predict(images, verbose=0), axis=1) == labels)
    assert accuracy == pytest.approx(before["seeds"][0]["test_accuracy"], abs=1e-6)
    sweep("retrain", studies / CONFIG, "--seeds", 2, "--studies", studies)
    after = json.loads((studies / MODEL / "metrics.json").read_text())
    assert after["seeds"][0] == before["seeds"][0]
    assert len(after["seeds"]) == 2
