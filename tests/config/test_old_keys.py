"""Earlier spellings of config keys, and Keras's own where ours is elsewhere, are read wherever a key is written."""

import tomllib
from pathlib import Path

import pytest
import tomli_w

from sweep.api.reading import url_of
from sweep.cli.parser import main
from sweep.config.file import read_config
from sweep.config.old_keys import other_spellings
from sweep.config.study_settings import StudySettings
from sweep.config.trial import TrialConfig, config_keys
from sweep.errors import SpaceError, StudyError
from sweep.options import StorageOptions
from sweep.space.file import load_space, parse_space
from sweep.storage import read_study
from tests.sweeps import make_settings

OLD = """
[study]
name = "mine"
num_trials = 3
[data]
validation_fraction = 0.3
[model]
kernel = 2
output = "sigmoid"
batch_norm = true
[training]
epochs = 2
[space.initializer]
key = "model.initializer"
type = "categorical"
choices = ["he_normal", "zeros"]
[space.initial_rate]
key = "schedule.initial_rate"
type = "float"
low = 1e-4
high = 1e-1
log = true
"""
NEW = (
    OLD.replace("validation_fraction", "validation_split")
    .replace("kernel =", "kernel_size =")
    .replace("output =", "output_activation =")
    .replace("batch_norm =", "batch_normalization =")
    .replace('"model.initializer"', '"model.kernel_initializer"')
    .replace('"schedule.initial_rate"', '"schedule.initial_learning_rate"')
)
SPACE = OLD
SHIPPED = {  # fingerprints that `sweep check` printed when the files were written in the earlier spellings
    "beale": "cc16f537120d",
    "cnn_digits": "c7ccb04ca80f",
    "cnn_mnist": "95700eff6a7c",
    "mlp_batch_size": "78aa034ae691",
    "mlp_initializers": "54d536f9e82c",
    "mlp_rate_momentum_epochs": "f892240d0753",
    "restarts": "4cc1f801ca86",
}
FAMILY = """
from sweep.config.model import ModelConfig
from sweep.models.family import Family

class Config(ModelConfig):
    family: str = "my_family:FAMILY"
    pool: int = 3

def build(model, regularizer, image_shape, num_classes):
    raise NotImplementedError

FAMILY = Family(config=Config, build=build)
"""


@pytest.mark.parametrize(("old", "new"), other_spellings().items())
def test_every_other_spelling_stands_for_a_key(old, new):
    assert new in config_keys()
    assert old not in config_keys()


def test_a_space_file_means_the_same_in_both_spellings():
    old, new = (parse_space(tomllib.loads(text), "space.toml") for text in (OLD, NEW))
    assert old.record() == new.record()
    assert old.fingerprint == new.fingerprint == "826d60e254a6"  # as before the spellings were changed
    params = {"initializer": "zeros", "initial_rate": 0.01}
    assert old.resolve(params, 0) == new.resolve(params, 0)
    assert old.resolve(params, 0).values()["model"]["kernel_initializer"] == "zeros"


def test_a_study_is_resumed_with_the_other_spelling_and_read_by_every_command(folder):
    assert main(["run", "space.toml", "--engine", "fake"]) == 0
    (folder / "space.toml").write_text(NEW)
    assert main(["run", "space.toml", "--engine", "fake", "--trials", "5"]) == 0
    trials = read_study(url_of(StorageOptions()), "mine").trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 5
    assert all(trial.params.keys() == {"initializer", "initial_rate"} for trial in trials)  # the user's own names stay
    for command in (["show", "mine"], ["report", "mine"], ["check", "space.toml"]):
        assert main(command) == 0


def test_settings_that_were_stored_in_old_spellings_are_those_of_today():
    space = parse_space(tomllib.loads(NEW), "space.toml")
    settings = make_settings(space)
    record = settings.record()
    record["space"]["fixed"] = tomllib.loads(OLD.split("[space.")[0])
    del record["space"]["fixed"]["study"]
    record["space"]["space"]["initial_rate"]["key"] = "schedule.initial_rate"
    StudySettings.from_record({**record, "schema": 2}, "mine").check_same(settings, "mine")


def test_a_study_with_keys_that_this_version_does_not_know_asks_for_an_upgrade():
    record = make_settings(parse_space(tomllib.loads(NEW), "space.toml")).record()
    with pytest.raises(StudyError, match="upgrade"):
        StudySettings.from_record({**record, "schema": record["schema"] + 1}, "mine")


def test_a_config_file_and_set_are_read_in_every_spelling(tmp_path):
    config = TrialConfig.from_values({"model": {"kernel_size": 5}, "optimizer": {"learning_rate": 0.02}}, "test")
    values = config.values()
    values["model"]["kernel"] = values["model"].pop("kernel_size")
    values["schedule"]["initial_rate"] = values["schedule"].pop("initial_learning_rate")
    (tmp_path / "config.toml").write_text(tomli_w.dumps(values))
    assert read_config(tmp_path / "config.toml")[0] == config
    changed, _ = read_config(tmp_path / "config.toml", ["optimizer.learning_rate=0.3", "model.pool=1"])
    assert (changed.schedule.initial_learning_rate, changed.model.values()["pool_size"]) == (0.3, 1)


def test_a_varied_key_is_fixed_by_its_other_spelling(folder):
    space = load_space(folder / "space.toml", ["optimizer.learning_rate=0.5"])
    assert space.resolve({"initializer": "zeros", "initial_rate": 0.5}, 0).schedule.initial_learning_rate == 0.5
    assert space.parameters["initial_rate"].num_values() == 1


@pytest.mark.parametrize(
    "values",
    [
        {"model": {"kernel": 3, "kernel_size": 3}},
        {"optimizer": {"learning_rate": 0.1}, "schedule": {"initial_learning_rate": 0.1}},
        {"optimizer": {"learning_rate": 0.1}, "schedule": {"initial_rate": 0.1}},
    ],
)
def test_two_spellings_of_one_key_are_refused_by_name(values):
    spellings = [f"{section}.{key}" for section, part in values.items() for key in part]
    with pytest.raises(SpaceError) as raised:
        TrialConfig.from_values(values, "config.toml")
    assert all(spelling in str(raised.value) for spelling in spellings)
    assert str(raised.value).startswith("config.toml: ")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("model.kernal", "model.kernel_size"),
        ("model.initialiser", "model.kernel_initializer"),
        ("model.learning_rate", "schedule.initial_learning_rate"),
        ("data.validation_fracton", "data.validation_split"),
    ],
)
def test_a_misspelled_old_key_is_answered_with_the_current_one(wrong, meant, folder):
    section, _, key = wrong.partition(".")
    with pytest.raises(SpaceError, match=f'"{meant}"'):
        TrialConfig.from_values({section: {key: 1}}, "config.toml")
    with pytest.raises(SpaceError, match=f'"{meant}"'):
        load_space(folder / "space.toml", [f"{wrong}=1"])
    with pytest.raises(SpaceError, match=f'"{meant}"'):
        parse_space({"study": {"name": "a"}, "space": {"x": {"key": wrong, "type": "int", "low": 1, "high": 2}}}, "s")


def test_the_spaces_that_ship_are_those_of_before():
    folder = Path(__file__).parents[2] / "search_spaces"
    assert {
        path.stem: load_space(path).fingerprint for path in folder.glob("*.toml") if path.stem in SHIPPED
    } == SHIPPED


def test_a_key_that_a_users_family_has_is_its_own(tmp_path, monkeypatch):
    (tmp_path / "my_family.py").write_text(FAMILY)
    monkeypatch.syspath_prepend(tmp_path)
    config = TrialConfig.from_values({"model": {"family": "my_family:FAMILY", "pool": 4}}, "test")
    assert config.model.values()["pool"] == 4
