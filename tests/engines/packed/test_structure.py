"""What shares a program and what does not; padding and its inverse."""

from typing import Any

import numpy as np
import pytest

from sweep.config.training import OPTIMIZERS
from sweep.config.trial import TrialConfig
from sweep.data import Dataset, load
from sweep.engines.packed.structure import (
    Structure,
    lane_numbers,
    pad_weights,
    padded,
    structure_of,
    unpad_weights,
)
from sweep.errors import SpaceError
from tests.engines.packed.drawn import draw_config
from tests.engines.training import config_of

FEW: dict[str, Any] = {"num_train": 24, "num_validation": 10}


def dataset() -> Dataset:
    return load(config_of({"data": FEW}).data)


def structure(**sections: Any) -> Structure:
    return structure_of(config_of({"data": FEW, **sections}), dataset())


# ---- the structure ----

FREE = [
    {"model": {"filters": [3, 9], "dense_units": 5}},
    {"model": {"initializer": "he_normal"}},
    {"schedule": {"name": "cosine", "initial_learning_rate": 0.1}},
    {"optimizer": {"momentum": 0.5}},
    {"training": {"epochs": 3, "seed": 7, "patience": 2}},
]
COMPILED_IN = [
    {"model": {"filters": [32]}},
    {"model": {"kernel": 2}},
    {"model": {"family": "mlp"}},
    {"model": {"pool": 1}},
    {"model": {"convolutions_per_pool": 2}},
    {"model": {"padding": "same"}},
    {"model": {"activation": "elu"}},
    {"model": {"output": "sigmoid"}},
    {"model": {"batch_norm": True}},
    {"model": {"dropout": 0.2}},
    {"model": {"convolution_dropout": 0.2}},
    {"regularizer": {"l1": 0.1}},
    {"regularizer": {"l2": 0.1}},
    {"optimizer": {"name": "sgd"}},
    {"training": {"batch_size": 8}},
    {"training": {"precision": "mixed_bfloat16"}},
]


@pytest.mark.parametrize("sections", FREE)
def test_plain_numbers_and_widths_do_not_ask_for_another_program(sections: dict[str, Any]) -> None:
    assert structure(**sections) == structure()


@pytest.mark.parametrize("sections", COMPILED_IN)
def test_what_shapes_the_program_does(sections: dict[str, Any]) -> None:
    assert structure(**sections) != structure()


def test_dropout_rates_and_penalties_that_are_there_share_a_program_whatever_their_size() -> None:
    one = structure(model={"dropout": 0.2, "convolution_dropout": 0.1}, regularizer={"l1": 0.1, "l2": 0.1})
    assert one == structure(model={"dropout": 0.7, "convolution_dropout": 0.4}, regularizer={"l1": 0.3, "l2": 0.2})


def test_a_network_that_leaves_no_feature_map_has_no_structure() -> None:
    with pytest.raises(SpaceError, match="leaves no feature map"):
        structure(model={"filters": [4] * 9})


# ---- a lane's numbers ----


def test_numbers_of_a_lane_are_the_configs_or_keras_defaults() -> None:
    plain = lane_numbers(config_of({}))
    assert (plain.l1, plain.l2, plain.momentum, plain.rates) == (0, 0, 0, [])
    sections = {"regularizer": {"l1": 0.1, "l2": 0.2}, "optimizer": {"name": "sgd", "momentum": 0.5, "nesterov": True}}
    numbers = lane_numbers(config_of({**sections, "model": {"dropout": 0.25}}))
    assert (numbers.l1, numbers.l2) == (0.1, 0.2)
    assert (numbers.momentum, numbers.nesterov, numbers.dropout(0)) == (0.5, 1.0, (0.25, 0.75))
    assert type(numbers).of(numbers.vector()) == numbers


def test_only_adamw_decays_weights_and_by_keras_default_if_nothing_is_said() -> None:
    decays = {name: lane_numbers(config_of({"optimizer": {"name": name}})).weight_decay for name in OPTIMIZERS}
    assert decays == {**dict.fromkeys(OPTIMIZERS, 0.0), "adamw": 0.004}
    assert lane_numbers(config_of({"optimizer": {"name": "adamw", "weight_decay": 0.0}})).weight_decay == 0


# ---- shapes and padding ----


def drawn(index: int) -> tuple[TrialConfig, Structure]:
    """A random config, padded to wider widths of as many layers."""
    config = draw_config(index)
    free = structure_of(config, dataset())
    wider = [width + 1 + index % 3 for width in config.model.lane_widths]
    return config, padded(free, config.model.lane_widths, [tuple(wider), (99, 99, 99, 99, 99)])


@pytest.mark.parametrize("index", range(12))
def test_padding_keeps_every_weight_and_cutting_gives_them_back(index: int) -> None:
    config, wide = drawn(index)
    widths, generator = config.model.lane_widths, np.random.default_rng(index)
    assert wide.widths is not None
    weights = [generator.normal(size=shape) for shape in wide.kernel.weight_shapes(widths)]
    wider = pad_weights(wide, widths, weights)
    assert [array.shape for array in wider] == wide.kernel.weight_shapes(wide.widths)
    for before, array, after in zip(weights, wider, unpad_weights(wide, widths, wider), strict=True):
        np.testing.assert_array_equal(after, before)
        assert np.count_nonzero(array) == before.size


def test_a_feature_maps_units_keep_their_rows_when_channels_are_padded() -> None:
    """The dense kernel's rows are (height, width, channel): padding goes between them, not below."""
    wide = padded(structure(model={"filters": [2], "padding": "same"}), (2, 3), [(4, 5)])
    weights = [np.zeros(shape) for shape in wide.kernel.weight_shapes((2, 3))]
    weights[-4] = np.arange(1.0, 8 * 8 * 2 * 3 + 1).reshape(-1, 3)
    kernel = pad_weights(wide, (2, 3), weights)[-4].reshape(8, 8, 4, 5)
    np.testing.assert_array_equal(kernel[:, :, :2, :3].reshape(-1, 3), weights[-4])
    assert not kernel[:, :, 2:].any()
    assert not kernel[..., 3:].any()


def test_widths_are_padded_to_the_widest_of_as_many_layers_but_never_cut() -> None:
    free = structure(model={"filters": [9, 3]})
    assert padded(free, (9, 3, 5), [(4, 8, 2), (50, 50)]).widths == (9, 8, 5)
    assert padded(free, (9, 3, 5), []).widths == (9, 3, 5)


@pytest.mark.parametrize("index", range(12))
def test_shapes_are_those_of_the_keras_model(index: int) -> None:
    from sweep.models.build import build_model

    config = draw_config(index)
    free, widths = structure_of(config, dataset()), config.model.lane_widths
    model = build_model(config, (8, 8, 1), 10)
    assert free.kernel.weight_shapes(widths) == [tuple(variable.shape) for variable in model.trainable_variables]
    moving = [tuple(variable.shape) for variable in model.non_trainable_variables if "moving" in variable.name]
    assert free.kernel.statistics_shapes(widths) == moving
