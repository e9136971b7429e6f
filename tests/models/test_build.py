"""Models: layers, shapes, weights and penalties as the config says; a user's own builder is checked."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pytest

from sweep.config.trial import TrialConfig
from sweep.errors import ModelError, SpaceError
from sweep.models.build import build_model
from sweep.models.cnn.config import CnnConfig
from sweep.plugins.user_code import BUILDER, import_code

IMAGE_SHAPE = (8, 8, 1)


def build(image_shape: tuple[int, int, int] = IMAGE_SHAPE, num_classes: int = 10, **sections: Any) -> Any:
    return build_model(TrialConfig.from_values(sections, "test"), image_shape, num_classes)


def layer_names(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def test_the_articles_network_has_exactly_its_weights() -> None:
    model = build((28, 28, 1), model={"filters": [32, 64, 64], "dense_units": 70})
    assert model.count_params() == 96_844
    assert model.output_shape == (None, 10)


def test_an_mlp_is_dense_layers_with_a_dropout_after_each() -> None:
    model = build((28, 28, 1), model={"family": "mlp", "hidden_units": [70, 30], "dropout": 0.5})
    assert layer_names(model) == ["Flatten", "Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert model.count_params() == 785 * 70 + 71 * 30 + 31 * 10


@pytest.mark.parametrize(
    ("scope", "penalized"),
    [("all", [True, True, True]), ("dense", [False, True, True]), ("hidden", [False, True, False])],
)
def test_penalty_is_on_the_kernels_of_its_scope(scope: str, penalized: list[bool]) -> None:
    model = build(model={"filters": [4]}, regularizer={"l2": 0.01, "scope": scope})
    kernels = [layer for layer in model.layers if hasattr(layer, "kernel")]
    assert [layer.kernel_regularizer is not None for layer in kernels] == penalized


def test_weights_can_have_a_seed_of_their_own() -> None:
    first, again, other = (
        build(training={"weights_seed": weights, "seed": seed}).layers[0].kernel.numpy()
        for weights, seed in ((1, 1), (1, 2), (2, 1))
    )
    assert (first == again).all()
    assert (first != other).any()
    assert (first == build(training={"seed": 1}).layers[0].kernel.numpy()).all()


def test_pools_stand_after_each_convolution_but_the_last() -> None:
    model = build(model={"filters": [4, 4, 4], "padding": "same"})
    expected = ["Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D", "Conv2D", "Flatten", "Dense", "Dense"]
    assert layer_names(model) == expected
    assert model.layers[4].output.shape[1:3] == (2, 2)


def test_pools_stand_after_every_second_convolution_when_asked() -> None:
    model = build(model={"filters": [4] * 5, "padding": "same", "convolutions_per_pool": 2})
    pooled = ["Conv2D", "Conv2D", "MaxPooling2D"]
    assert layer_names(model) == [*pooled, *pooled, "Conv2D", "Flatten", "Dense", "Dense"]
    assert model.layers[6].output.shape[1:3] == (2, 2)


def test_dropout_stands_after_each_group_of_convolutions_when_asked() -> None:
    groups = {"convolutions_per_pool": 2, "padding": "same"}
    model = build(model={"filters": [4] * 3, **groups, "convolution_dropout": 0.2, "dropout": 0.5})
    pooled = ["Conv2D", "Conv2D", "MaxPooling2D", "Dropout"]
    assert layer_names(model) == [*pooled, "Conv2D", "Dropout", "Flatten", "Dense", "Dropout", "Dense"]
    assert [layer.rate for layer in model.layers if hasattr(layer, "rate")] == [0.2, 0.2, 0.5]


def test_dropout_and_batch_norm_are_off_by_default_and_on_when_asked() -> None:
    plain = layer_names(build())
    assert not {"Dropout", "BatchNormalization"} & set(plain)
    model = build(model={"dropout": 0.3, "batch_norm": True, "activation": "tanh"})
    assert layer_names(model)[:3] == ["Conv2D", "BatchNormalization", "Activation"]
    assert [layer.rate for layer in model.layers if type(layer).__name__ == "Dropout"] == [0.3]
    assert model.layers[0].activation is keras.activations.linear
    assert model.layers[2].activation is keras.activations.tanh


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "elu", "tanh"])
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_activations_and_outputs(activation: str, output: str) -> None:
    model = build(model={"filters": [4], "activation": activation, "output": output})
    assert {layer.activation.__name__ for layer in model.layers[:1] + model.layers[2:3]} == {activation}
    outputs = keras.ops.convert_to_numpy(model(np.ones((3, *IMAGE_SHAPE), np.float32)))
    assert ((outputs > 0) & (outputs < 1)).all()
    assert np.allclose(outputs.sum(axis=1), 1, atol=1e-5) == (output == "softmax")


def test_weights_are_drawn_from_the_seed() -> None:
    first, again, other = (build(model={"filters": [4]}, training={"seed": seed}).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("initializer", get_args(CnnConfig.model_fields["kernel_initializer"].annotation))
def test_every_initializer_is_one_of_keras(initializer: str) -> None:
    assert isinstance(keras.initializers.get(initializer), keras.initializers.Initializer)


def test_the_initializer_reaches_every_kernel() -> None:
    assert not any(weights.any() for weights in build(model={"initializer": "zeros"}).get_weights())


@pytest.mark.parametrize(("scope", "covered"), [("dense", ("Dense",)), ("all", ("Dense", "Conv2D"))])
def test_penalties_are_l1_and_l2_sums_over_the_kernels_in_scope(scope: str, covered: tuple[str, ...]) -> None:
    model = build(model={"filters": [4, 4]}, regularizer={"l1": 0.01, "l2": 0.1, "scope": scope})
    kernels = [layer.kernel.numpy() for layer in model.layers if type(layer).__name__ in covered]
    assert len(kernels) == 2 * len(covered)
    expected = sum(0.01 * np.abs(kernel).sum() + 0.1 * np.square(kernel).sum() for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-5)


def test_without_l1_and_l2_there_is_no_penalty() -> None:
    assert build(regularizer={"scope": "all"}).losses == []


def test_mixed_precision_computes_in_bfloat16_and_leaves_the_global_policy() -> None:
    model = build(training={"precision": "mixed_bfloat16"})
    assert keras.config.dtype_policy().name == "float32"
    assert model.layers[0].compute_dtype == "bfloat16"
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    assert model.layers[-1].compute_dtype == "float32"
    assert build().layers[0].compute_dtype == "float32"


def test_the_global_policy_is_put_back_when_building_fails() -> None:
    with pytest.raises(SpaceError, match="leaves no feature map"):
        build(model={"filters": [4] * 9}, training={"precision": "mixed_bfloat16"})
    assert keras.config.dtype_policy().name == "float32"


BUILDERS = """
import keras

def build(image_shape, num_classes, width=3):
    return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(),
                             keras.layers.Dense(width), keras.layers.Dense(num_classes, "softmax")])

def too_narrow(image_shape, num_classes):
    return build(image_shape, num_classes - 1)

def no_model(image_shape, num_classes):
    return 3
"""


@pytest.fixture
def builders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_models.py").write_text(BUILDERS, encoding="utf-8")
    (tmp_path / "my_broken_models.py").write_text("def build(:", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_models", None)


@pytest.mark.usefixtures("builders")
def test_a_builder_gets_shape_classes_and_options() -> None:
    model = build((4, 5, 3), 7, model={"builder": "my_models:build", "options": {"width": 11}})
    assert model.layers[1].units == 11
    assert (model.input_shape, model.output_shape) == ((None, 4, 5, 3), (None, 7))


@pytest.mark.usefixtures("builders")
def test_a_builders_weights_follow_the_seed() -> None:
    config = {"builder": "my_models:build"}
    first, again, other = (build(model=config, training={"seed": seed}).get_weights()[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.usefixtures("builders")
@pytest.mark.parametrize(
    ("name", "options", "pattern"),
    [
        ("too_narrow", {}, r"my_models:too_narrow outputs shape \(None, 9\); it must be \(None, 10\)"),
        ("no_model", {}, "my_models:no_model returned int; it must be a keras.Model"),
        ("build", {"depth": 3}, "unexpected keyword argument 'depth'"),
    ],
)
def test_a_wrong_builder_is_said(name: str, options: dict[str, Any], pattern: str) -> None:
    with pytest.raises((ModelError, TypeError), match=pattern):
        build(model={"builder": f"my_models:{name}", "options": options})


@pytest.mark.usefixtures("builders")
@pytest.mark.parametrize("builder", ["my_modles:build", "my_models:biuld", "my_broken_models:build"])
def test_a_builder_that_cannot_be_imported_is_one_line(builder: str) -> None:
    with pytest.raises(SpaceError, match=f"^model.builder: {builder} cannot be imported: ") as caught:
        import_code(builder, BUILDER)
    assert "\n" not in str(caught.value)
