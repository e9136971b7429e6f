"""`sweep keys`: every key is described, and what is said of it is true."""

import subprocess
import sys
from dataclasses import replace

import pytest

from sweep.cli.key_reference import all_sections
from sweep.cli.parser import main
from sweep.config.trial import TrialConfig, config_keys
from sweep.space.file import parse_choice
from sweep.space.space import Space
from sweep.tuning.pruners import PRUNERS
from sweep.tuning.samplers import SAMPLERS, sampler_factory

SECTIONS = {section.name: section for section in all_sections()}
RANGE = {"type": "float", "low": 0.0, "high": 1.0, "step": 0.25}
KEYS = {key.key: key for section in SECTIONS.values() for key in section.keys}


def test_every_config_key_is_described_in_a_sentence():
    assert set(config_keys()) <= KEYS.keys()
    every = [key for section in SECTIONS.values() for key in section.keys]
    assert [key.key for key in every if not key.meaning.endswith(".")] == []


def test_every_sampler_and_pruner_has_a_section():
    assert {f"sampler.{name}" for name in SAMPLERS} | {f"pruner.{name}" for name in PRUNERS} <= SECTIONS.keys()
    assert KEYS["sampler.name"].default == '"tpe"'
    assert KEYS["pruner.percentile"].default == ""


@pytest.mark.parametrize("name", ["tpe", "nsgaii", "brute_force"])
def test_named_options_of_a_sampler_are_taken(name):
    space = Space.from_sections(study={"name": "a"}, space={"x": {"key": "regularizer.l2", **RANGE}})
    given = [key.key.partition(".")[2] for key in SECTIONS[f"sampler.{name}"].keys if key.type == "integer"]
    choice = parse_choice(f"{name}:{','.join(f'{option}=2' for option in given)}", "--sampler")
    assert sampler_factory(replace(space, sampler=choice), 0)(0) is not None


def test_defaults_are_those_of_a_config():
    values = TrialConfig().values()
    assert float(KEYS["schedule.initial_learning_rate"].default) == values["schedule"]["initial_learning_rate"]
    assert KEYS["model.filters"].default == str(values["model"]["filters"])
    assert KEYS["training.patience"].default == "off"
    assert KEYS["study.name"].default == ""
    families = {name: {key.key: key.default for key in SECTIONS[f"model.{name}"].keys} for name in ("cnn", "mlp")}
    assert families["cnn"]["model.family"] == '"cnn"'
    assert families["mlp"]["model.family"] == ""  # must be given


def test_allowed_values_are_named():
    assert KEYS["model.dropout"].allowed == ">= 0, < 1"
    assert '"cosine"' in KEYS["schedule.name"].allowed
    assert '"mnist"' in KEYS["data.name"].allowed
    assert '"val_f1_macro"' in KEYS["study.metric"].allowed
    assert KEYS["model.kernel_size"].spellings == ("model.kernel",)


@pytest.mark.parametrize(
    ("wanted", "expected", "other"),
    [
        ("training", "training.batch_size", "model.filters"),
        ("cnn", "model.filters", "model.hidden_units"),
        ("model", "model.hidden_units", "training.epochs"),
        ("schedule.initial_rate", "schedule.initial_learning_rate", "schedule.alpha"),
        ("cosine", "schedule.alpha", "schedule.decay_rate"),
        ("space", "space.NAME.choices", "training.epochs"),
        ("sampler", "sampler.n_startup_trials", "pruner.name"),
        ("pruner.median", "pruner.n_warmup_steps", "pruner.percentile"),
    ],
)
def test_a_section_a_family_or_a_key_is_shown_alone(wanted, expected, other, capsys):
    assert main(["keys", wanted]) == 0
    shown = capsys.readouterr().out
    assert expected in shown
    assert other not in shown


def test_an_unknown_section_is_one_line_that_names_what_was_meant(capsys):
    assert main(["keys", "trainin"]) == 2
    error = capsys.readouterr().err
    assert '"training"' in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(("wrong", "meant"), [("spce", "space"), ("model.kernal", "model.kernel_size")])
def test_a_misspelled_name_is_answered(wrong, meant, capsys):
    assert main(["keys", wrong]) == 2
    assert f'"{meant}"' in capsys.readouterr().err


def test_no_framework_is_imported():
    code = "import sys; from sweep.cli.parser import main; main(['keys']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"keras", "tensorflow", "jax"} & {*done.stdout.splitlines()[-1].split()}


def test_markdown_has_a_row_for_every_key(capsys):
    assert main(["keys", "--markdown"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert {f"`{key}`" for key in KEYS} == {row.split(" | ")[0].strip("| ") for row in rows if row.startswith("| `")}
