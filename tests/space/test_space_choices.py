"""What a user may write in a space file and on the command line beside plain numbers and texts."""

import tomllib
from pathlib import Path
from typing import Any

import optuna
import pytest

from sweep.config.keys import set_value
from sweep.errors import SpaceError
from sweep.space.file import load_space, parse_space, stored_space
from sweep.space.space import Space
from sweep.spelling import closest

LISTS = '[space.layers]\nkey = "model.filters"\ntype = "categorical"\nchoices = [[8, 8], [16], [4, 4, 8]]\n'
MOMENTUM = (
    '[space.o]\nkey = "optimizer.name"\ntype = "categorical"\nchoices = ["sgd", "adam"]\n'
    '[space.m]\nkey = "optimizer.momentum"\ntype = "float"\nlow = 0.1\nhigh = 0.9\nwhen = { o = "sgd" }\n'
)


def parse(text: str) -> Space:
    return parse_space(tomllib.loads('[study]\nname = "test"\n' + text), "my.toml")


def space_file(folder: Path, text: str) -> Path:
    file = folder / "my.toml"
    file.write_text('[study]\nname = "test"\n' + text, encoding="utf-8")
    return file


def asked(space: Space, **params: Any) -> optuna.trial.FrozenTrial:
    """A trial of a study in memory with these params, as it is stored."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.enqueue_trial(params)
    trial = study.ask()
    space.suggest(trial)
    return study.trials[0]


@pytest.mark.filterwarnings("error")
def test_a_list_as_choice_reaches_the_config_and_optuna_keeps_it_without_a_warning() -> None:
    space = parse(LISTS)
    trial = asked(space, layers="[4, 4, 8]")
    assert space.resolve(trial.params, 0).model.filters == (4, 4, 8)
    assert sorted(space.widest()) == [(4, 4, 8, 64), (8, 8, 64), (16, 64)]
    again = stored_space("test", space.record())
    assert again.resolve(trial.params, 0) == space.resolve(trial.params, 0)


def test_a_condition_may_name_a_list() -> None:
    unit = '[space.u]\nkey = "model.dense_units"\ntype = "int"\nlow = 8\nhigh = 16\nwhen = { layers = [[16]] }\n'
    space = parse(LISTS + unit)
    assert set(asked(space, layers="[16]").params) == {"layers", "u"}
    assert set(asked(space, layers="[8, 8]").params) == {"layers"}


@pytest.mark.parametrize("off", ["none", "None", "off"])
def test_a_choice_may_switch_a_key_off(off: str) -> None:
    space = parse(f'[space.p]\nkey = "training.patience"\ntype = "categorical"\nchoices = ["{off}", 2, 5]\n')
    assert space.resolve(asked(space, p=off).params, 0).training.patience is None
    assert space.resolve(asked(space, p=5).params, 0).training.patience == 5


@pytest.mark.parametrize("off", ["none", "None", "off"])
def test_a_fixed_key_may_be_switched_off(off: str) -> None:
    assert parse(f'[training]\npatience = "{off}"').resolve({}, 0).training.patience is None


def test_a_key_whose_default_is_not_off_cannot_be_switched_off() -> None:
    with pytest.raises(SpaceError, match=r"training.epochs: .*got 'none'"):
        parse('[space.e]\nkey = "training.epochs"\ntype = "categorical"\nchoices = ["none", 2]\n')


@pytest.mark.parametrize("word", ["True", "False", "None"])
def test_a_word_of_python_is_answered_with_that_of_toml(word: str, tmp_path: Path) -> None:
    file = space_file(tmp_path, f'[space.x]\nkey = "regularizer.l2"\ntype = "float"\nlow = 0.1\nhigh = 1\nlog = {word}')
    expected = {"True": "true", "False": "false", "None": '"none"'}[word]
    with pytest.raises(SpaceError, match=rf"my.toml.*line 8.*write {expected}"):
        load_space(file)


def test_set_on_a_varied_key_fixes_it_under_its_conditions(tmp_path: Path) -> None:
    space = load_space(space_file(tmp_path, MOMENTUM), ["optimizer.momentum=0.5"])
    assert space.resolve(asked(space, o="sgd").params, 0).optimizer.momentum == 0.5
    assert space.resolve(asked(space, o="adam").params, 0).optimizer.momentum is None


def test_set_on_what_decides_a_condition_leaves_the_condition_in_force(tmp_path: Path) -> None:
    space = load_space(space_file(tmp_path, MOMENTUM), ["optimizer.name=sgd"])
    trial = asked(space)
    assert space.resolve(trial.params, 0).optimizer.name == "sgd"
    assert 0.1 <= trial.params["m"] <= 0.9


def test_set_narrows_a_parameter(tmp_path: Path) -> None:
    space = load_space(space_file(tmp_path, MOMENTUM), ["space.m.high=0.3", "space.m.low=0.2"])
    assert space.parameters["m"].extremes() == [0.2, 0.3]


def test_an_option_inside_a_table_is_set_inside_it() -> None:
    builder = '[model]\nbuilder = "a:b"\n[model.options.head]\ndepth = 2\n'
    width = '[space.w]\nkey = "model.options.head.width"\ntype = "int"\nlow = 8\nhigh = 9\n'
    space = parse(builder + width)
    assert space.resolve({"w": 8}, 0).model.options == {"head": {"depth": 2, "width": 8}}
    with pytest.raises(SpaceError, match=r"space.d.key: model.options.head.depth is fixed"):
        parse(builder + width.replace("width", "depth").replace("space.w", "space.d"))


def test_an_option_inside_a_value_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"my.toml: model.options.head.width: model.options.head is not a table"):
        set_value({"model": {"options": {"head": 3}}}, "model.options.head.width", 8, "my.toml")


def test_a_list_and_one_of_its_layers_cannot_both_vary() -> None:
    layer = '[space.first]\nkey = "model.filters.1"\ntype = "int"\nlow = 8\nhigh = 16\n'
    with pytest.raises(SpaceError, match=r"space.first.when: layers sets model.filters"):
        parse(LISTS + layer)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("optimizer.learning_rate", "schedule.initial_learning_rate"),
        ("lr", "schedule.initial_learning_rate"),
        ("model.kernelsize", "model.kernel_size"),
        ("training.momentum", "optimizer.momentum"),
        ("optimiser.name", "optimizer.name"),
        ("training.epoch", "training.epochs"),
        ("model.zzz", None),
    ],
)
def test_the_key_that_was_meant_is_named(name: str, meant: str | None) -> None:
    from sweep.config.trial import config_keys

    assert closest(name, config_keys()) == meant
