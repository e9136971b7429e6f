""" "auto" is what is fast on the device, explicit before anything trains and as the study began; slow ones are said."""

import json
import tomllib
from pathlib import Path

import optuna
import pytest
from sweeps import make_settings, make_space

import sweep
from sweep.api import retraining
from sweep.cli.parser import main
from sweep.config.trial import TrialConfig
from sweep.engines import cpu
from sweep.engines.backends.tensorflow import device as tensorflow_device
from sweep.engines.device import Device, has_bfloat16_units
from sweep.engines.precision import fast_precision, slow_precision_note
from sweep.errors import SpaceError
from sweep.space.file import load_space, parse_space
from sweep.storage import database_url, read_study
from sweep.tuning import probing as settle

SLOW = Device("cpu", "an old CPU", "tensorflow")
FAST = Device("cpu", "a new CPU", "tensorflow", has_fast_bfloat16=True)
SPACE = """
study = { name = "small", num_trials = 2 }
training = { epochs = 1, precision = "auto" }

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


@pytest.fixture
def on(monkeypatch):
    """Have `sweep run` believe that it is on a device."""

    def use(device):
        monkeypatch.setattr(settle, "set_up_device", lambda *_, **__: device)

    return use


def stored_precision(folder):
    study = read_study(database_url(folder / "studies"), "small")
    return study.user_attrs["sweep"]["space"]["fixed"]["training"]["precision"]


def run(*arguments):
    return main(["run", "space.toml", "--engine", "sequential", *arguments])


# ---- what auto means ----


@pytest.mark.parametrize(
    ("flags", "onednn", "is_fast"),
    [
        ({"avx2", "avx512f", "avx512_bf16"}, True, True),
        ({"amx_bf16", "amx_tile"}, True, True),
        ({"avx2", "avx512f", "avx512_vnni"}, True, False),
        ({"avx512_bf16"}, False, False),
        (set(), True, False),
    ],
)
def test_bfloat16_is_fast_on_a_cpu_that_has_it_where_onednn_is_on(monkeypatch, flags, onednn, is_fast):
    monkeypatch.setattr(tensorflow_device, "cpu_flags", lambda: frozenset(flags))
    monkeypatch.setattr(tensorflow_device, "is_onednn_on", lambda: onednn)
    monkeypatch.setattr("tensorflow.config.get_visible_devices", lambda _: [])
    assert tensorflow_device.device_in_use(2).has_fast_bfloat16 is is_fast


@pytest.mark.parametrize(
    ("capability", "is_fast"),
    [((9, 0), True), ("8.0", True), ("10.0", True), ((7, 5), False), ("gfx90a", False), ("", False)],
)
def test_bfloat16_is_fast_on_gpus_from_ampere_on(capability, is_fast):
    assert has_bfloat16_units(capability) is is_fast


def test_flags_are_read_where_the_system_lists_them(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("processor : 0\nflags\t\t: fpu avx2 avx512_bf16\nprocessor : 1\nflags : none\n")
    monkeypatch.setattr(cpu, "CPU_INFO", tmp_path / "cpuinfo")
    assert cpu.cpu_flags() == {"fpu", "avx2", "avx512_bf16"}
    monkeypatch.setattr(cpu, "CPU_INFO", tmp_path / "absent")
    assert cpu.cpu_flags() == set()


def test_auto_is_the_studys_own_else_the_devices():
    assert fast_precision(FAST) == "mixed_bfloat16"
    assert fast_precision(SLOW) == fast_precision(None) == "float32"
    stored = make_settings(make_space(training={"precision": "mixed_bfloat16"}))
    assert fast_precision(SLOW, stored) == "mixed_bfloat16"


def test_explicit_precisions_stay():
    config = TrialConfig.from_values({"training": {"precision": "float32"}}, "test")
    assert config.with_precision("mixed_bfloat16") is config
    auto = TrialConfig.from_values({"training": {"precision": "auto", "epochs": 3}}, "test")
    assert auto.with_precision("mixed_bfloat16").training.model_dump() == {
        **auto.training.model_dump(),
        "precision": "mixed_bfloat16",
    }


def test_auto_cannot_vary():
    varied = {"precision": {"key": "training.precision", "type": "categorical", "choices": ["auto", "float32"]}}
    with pytest.raises(SpaceError, match=r"space\.precision: \"auto\".*remove it"):
        parse_space({"study": {"name": "small"}, "space": varied}, "space.toml")


# ---- where it is used ----


def test_a_study_stores_what_auto_meant_and_another_machine_keeps_it(folder, on, capsys):
    on(FAST)
    assert run("--trials", "1") == 0
    assert stored_precision(folder) == "mixed_bfloat16"
    assert "mixed_bfloat16" not in capsys.readouterr().out
    on(SLOW)
    assert run("--trials", "2") == 0
    assert stored_precision(folder) == "mixed_bfloat16"
    assert "mixed_bfloat16" in capsys.readouterr().out  # it is slow here
    assert main(["export", "small", "--trial", "1"]) == 0
    exported = (folder / "studies" / "small" / "configs" / "trial-00001.toml").read_text()
    assert tomllib.loads(exported)["training"]["precision"] == "mixed_bfloat16"


def test_a_new_study_on_a_slow_cpu_is_float32_unless_it_says_otherwise(folder, on, capsys):
    on(SLOW)
    assert run() == 0
    assert stored_precision(folder) == "float32"
    assert "mixed_bfloat16" not in capsys.readouterr().out
    assert run("--study", "other", "--set", "training.precision=mixed_bfloat16", "--trials", "1") == 0
    said = [line for line in capsys.readouterr().out.splitlines() if "mixed_bfloat16" in line]
    assert len(said) == 1
    assert "AVX512_BF16" in said[0]
    assert '"auto"' in said[0]


def test_a_varied_precision_that_is_slow_is_said():
    varied = {
        "precision": {"key": "training.precision", "type": "categorical", "choices": ["float32", "mixed_bfloat16"]}
    }
    space = parse_space({"study": {"name": "small"}, "space": varied}, "space.toml")
    assert slow_precision_note(SLOW, space.extreme_configs())
    assert slow_precision_note(FAST, space.extreme_configs()) is None
    assert slow_precision_note(None, space.extreme_configs()) is None


def test_check_train_and_objective_take_auto(folder, capsys, monkeypatch):
    assert main(["check", "space.toml"]) == 0
    (folder / "config.toml").write_text('training = { epochs = 1, precision = "auto" }\nmodel = { family = "mlp" }\n')
    monkeypatch.setattr(retraining, "set_up_device", lambda *_, **__: FAST)
    assert main(["train", "config.toml", "--out", "model"]) == 0
    monkeypatch.setattr(retraining, "set_up_device", lambda *_, **__: SLOW)  # another machine trains more seeds
    assert main(["retrain", "config.toml", "--out", "model", "--seeds", "2"]) == 0
    content = json.loads((folder / "model" / "metrics.json").read_text())
    assert content["config"]["training"]["precision"] == "mixed_bfloat16"
    assert len(content["seeds"]) == 2
    fast = "mixed_bfloat16" if tensorflow_device.device_in_use(1).has_fast_bfloat16 else "float32"
    objective = sweep.Objective("space.toml")
    trained_configs = []
    monkeypatch.setattr(
        objective,
        "_train",
        lambda training, _: trained_configs.append(training.begin_run()) or training.values.append([0.5]),
    )
    optuna.create_study(direction="maximize").optimize(objective, n_trials=1)
    assert trained_configs[0].training.precision == fast


def test_shipped_files_leave_the_precision_to_the_machine():
    spaces = Path(__file__).parents[2] / "search_spaces"
    assert load_space(spaces / "cnn_beyond.toml").fixed["training"]["precision"] == "auto"
    explicit = [path.name for path in spaces.rglob("*.toml") if "mixed_bfloat16" in path.read_text()]
    assert explicit == []
