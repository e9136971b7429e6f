"""TrialConfig: what it refuses, in one line, and that a file says the same as the object it came from."""

from datetime import date
from pathlib import Path

import pytest
import tomli_w

from sweep.config.plain_values import read_toml
from sweep.config.trial import TrialConfig
from sweep.errors import SpaceError
from sweep.models.cnn.config import CnnConfig

CONFIGS = {
    "defaults": {},
    "every section": {
        "data": {"name": "npz", "path": "images.npz", "num_train": 100, "scaling": "standard"},
        "model": {"filters": [32, 64, 64], "kernel": 5, "dropout": 0.25, "batch_norm": True},
        "regularizer": {"l1": 1e-5, "l2": 1e-4, "scope": "all"},
        "optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": True},
        "schedule": {"name": "exponential", "initial_rate": 0.01, "decay_rate": 0.9, "staircase": True},
        "training": {"epochs": 3, "patience": 2, "monitor": "val_accuracy", "precision": "mixed_bfloat16", "seed": 7},
    },
    "mlp": {"model": {"family": "mlp", "hidden_units": [70, 30]}, "regularizer": {"l2": 0.01, "scope": "hidden"}},
    "builder": {"model": {"builder": "my_models:build", "options": {"width": 3, "names": ["a", "b"]}}},
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_written_as_toml_reads_back_equal(name: str, tmp_path: Path) -> None:
    config = TrialConfig.from_values(CONFIGS[name], "test")
    file = tmp_path / "config.toml"
    file.write_text(tomli_w.dumps(config.values()), encoding="utf-8")
    assert TrialConfig.from_values(read_toml(file), "config.toml") == config


def test_written_values_name_every_default_that_decides_the_training() -> None:
    values = TrialConfig().values()
    assert values["optimizer"]["name"] == "rmsprop"
    assert values["schedule"] == {"name": "constant", "initial_learning_rate": 0.001, "staircase": False}
    assert values["model"]["filters"] == [32, 64]


REFUSED = [
    ({"training": {"epoch": 3}}, "training.epoch: unknown key"),
    ({"trainig": {}}, "trainig: unknown key"),
    ({"training": {"epochs": 0}}, "training.epochs: .*greater than or equal to 1.*got 0"),
    ({"training": {"epochs": 2.5}}, "training.epochs: .*got 2.5"),
    ({"training": {"epochs": "3"}}, "training.epochs: .*got '3'"),
    ({"training": {"epochs": True}}, "training.epochs: .*got True"),
    ({"training": {"precision": "float16"}}, "training.precision: .*'float32', 'mixed_bfloat16' or 'auto'"),
    ({"schedule": {"initial_rate": 0.0}}, "schedule.initial_learning_rate: .*greater than 0"),
    ({"schedule": {"initial_rate": float("nan")}}, "schedule.initial_learning_rate"),
    ({"regularizer": {"l2": float("inf")}}, "regularizer.l2: .*finite"),
    ({"regularizer": {"l2": -1e-4}}, "regularizer.l2: .*greater than or equal to 0"),
    ({"model": {"filters": []}}, "model.filters"),
    ({"model": {"filters": [32, 0]}}, "model.filters.1: .*got 0"),
    ({"model": {"filters": 32}}, "model.filters: .*got 32"),
    ({"model": {"dropout": 1.0}}, "model.dropout: .*less than 1"),
    ({"model": {"family": "mlp", "filters": [32]}}, 'model: filters belongs to family = "cnn", not mlp; remove it'),
    ({"model": {"hidden_units": [32]}}, 'model: hidden_units belongs to family = "mlp", not cnn; remove it'),
    ({"model": {"family": "mlp", "hidden_units": []}}, "model.hidden_units"),
    ({"model": {"builder": "my_models"}}, "model.builder: .*got 'my_models'"),
    ({"model": {"builder": "os; rm:x"}}, "model.builder"),
    ({"model": {"options": {"width": 3}}}, "model: options are passed to a builder; add builder"),
    (
        {"model": {"builder": "a:b", "kernel": 3}},
        r"model: kernel_size has no effect with a builder; move it to \[model.opt",
    ),
    ({"model": {"builder": "a:b"}, "regularizer": {"l2": 0.1}}, "regularizer has no effect with a builder"),
    ({"model": {"builder": "a:b", "options": {"day": date(2026, 1, 1)}}}, "model: options must be JSON values"),
    ({"model": {"builder": "a:b", "options": {"x": float("nan")}}}, "model: options must be JSON values"),
    ({"data": {"name": "npz"}}, "data: .*needs path"),
    ({"data": {"path": "x.npz"}}, "data: path has no effect"),
    ({"data": {"validation": "test", "num_validation": 10}}, "data: num_validation has no effect with validation"),
    (
        {"data": {"validation": "test", "train_on": "train+validation"}},
        'data: validation = "test" has no validation part',
    ),
    ({"data": {"validation_fraction": 1.0}}, "data.validation_split: .*less than 1"),
    ({"optimizer": {"name": "lion"}}, "optimizer.name: .*'adamw'.*got 'lion'"),
    ({"optimizer": {"name": "rmsprop", "nesterov": True}}, 'optimizer: nesterov belongs to "sgd"'),
    ({"optimizer": {"name": "adam", "weight_decay": 0.1}}, "optimizer: weight_decay belongs to"),
    ({"schedule": {"name": "inverse_time"}}, "schedule: decay_rate is missing"),
    ({"schedule": {"name": "exponential"}}, "schedule: decay_rate is missing"),
    ({"schedule": {"decay_rate": 0.1}}, "schedule: decay_rate has no effect with the constant schedule"),
    ({"schedule": {"name": "cosine", "staircase": True}}, "schedule: staircase has no effect with the cosine"),
    ({"schedule": {"name": "inverse_time", "decay_rate": 1, "alpha": 0.1}}, "schedule: alpha has no effect"),
    *(
        ({"optimizer": {"name": name, "momentum": 0.5}}, f"optimizer: momentum: {name} has no momentum; remove it")
        for name in ("nadam", "adamax", "adam", "adamw")
    ),
]


@pytest.mark.parametrize(("values", "pattern"), REFUSED, ids=[pattern for _, pattern in REFUSED])
def test_wrong_values_are_one_line_with_source_and_key(values: dict, pattern: str) -> None:
    with pytest.raises(SpaceError, match=f"^my.toml: {pattern}") as caught:
        TrialConfig.from_values(values, "my.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["rmsprop", "sgd"])
def test_momentum_is_taken_where_there_is_one(name: str) -> None:
    config = TrialConfig.from_values({"optimizer": {"name": name, "momentum": 0.5}}, "test")
    assert config.optimizer.momentum == 0.5


def test_a_config_cannot_be_changed_after_it_was_checked() -> None:
    with pytest.raises(ValueError, match="frozen"):
        TrialConfig().training.epochs = 0


@pytest.mark.parametrize(
    ("options", "side", "expected"),
    [
        ({"filters": (32, 64, 64)}, 28, [13, 5, 3]),
        ({"filters": (8,)}, 8, [6]),
        ({"filters": (8, 8, 8, 8), "padding": "same"}, 8, [4, 2, 1, 1]),
        ({"filters": (8, 8), "pool_size": 1, "kernel_size": 1}, 1, [1, 1]),
        ({"filters": (8, 8, 8, 8), "convolutions_per_pool": 2}, 28, [26, 12, 10, 8]),
        ({"filters": (8, 8, 8)}, 8, None),
        ({"filters": (8,), "kernel_size": 9}, 8, None),
        ({"filters": (8, 8), "pool_size": 9, "padding": "same"}, 8, None),
    ],
)
def test_feature_map_sides(options: dict, side: int, expected: list[int] | None) -> None:
    model = CnnConfig(**options)
    if expected is None:
        with pytest.raises(SpaceError, match="leaves no feature map; use fewer filters, a smaller kernel or padding"):
            model.feature_map_sides(side, side)
    else:
        assert model.feature_map_sides(side, side) == [(rest, rest) for rest in expected]


@pytest.mark.parametrize(
    ("content", "pattern"),
    [(None, "no such file; `sweep init"), (b"a = = 1", "not readable as TOML"), (b"\xff\xfe", "not readable as TOML")],
)
def test_unreadable_files_are_one_line_with_the_name(content: bytes | None, pattern: str, tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SpaceError, match=f"space.toml: {pattern}") as caught:
        read_toml(file)
    assert "\n" not in str(caught.value)
