"""`sweep keys`: every key is described, and what is said of it is true."""

import pytest

from sweep.cli.parser import main
from sweep.config.reference import sections
from sweep.config.trial import TrialConfig, config_keys
from sweep.space.space import StudySection

KEYS = {key.key: key for section in sections(StudySection) for key in section.keys}


def test_every_config_key_is_described_in_a_sentence():
    assert set(config_keys()) <= KEYS.keys()
    assert [key.key for key in KEYS.values() if not key.meaning.endswith(".")] == []


def test_defaults_are_those_of_a_config():
    values = TrialConfig().values()
    assert float(KEYS["schedule.initial_learning_rate"].default) == values["schedule"]["initial_learning_rate"]
    assert KEYS["model.filters"].default == str(values["model"]["filters"])
    assert KEYS["training.patience"].default == "none"
    assert KEYS["study.name"].default == ""


def test_allowed_values_are_named():
    assert KEYS["model.dropout"].allowed == ">= 0, < 1"
    assert '"cosine"' in KEYS["schedule.name"].allowed
    assert KEYS["model.kernel_size"].spellings == ("model.kernel",)


@pytest.mark.parametrize(
    ("wanted", "expected", "other"),
    [
        ("training", "training.batch_size", "model.filters"),
        ("cnn", "model.filters", "model.hidden_units"),
        ("model", "model.hidden_units", "training.epochs"),
        ("schedule.initial_rate", "schedule.initial_learning_rate", "schedule.alpha"),
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


def test_markdown_has_a_row_for_every_key(capsys):
    assert main(["keys", "--markdown"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert {f"`{key}`" for key in KEYS} == {row.split(" | ")[0].strip("| ") for row in rows if row.startswith("| `")}
