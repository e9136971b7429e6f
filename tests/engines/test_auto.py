"""The automatic choice: its arithmetic is that of the Keras models, its rule keeps the machine busy within limits."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from sweep.config.trial import TrialConfig
from sweep.engines import auto as engine_choice
from sweep.engines.auto import Situation, choose, operation_threads
from sweep.errors import InputError
from sweep.models.build import build_model
from sweep.models.cost import TrialCost, largest_cost, trial_cost
from sweep.space.file import load_space, parse_space

SPACES = Path(__file__).parents[2] / "search_spaces"
SMALL, LARGE = TrialCost(10**7, 10**7), TrialCost(10**10, 10**9)
JAX = {"keras_backend": "jax"}


def situation(**changes: Any) -> Situation:
    values = {"cost": SMALL, "device_kind": "cpu", "threads": 2, "memory_bytes": 10**12, "num_trials": 1000}
    return Situation(**{**values, **changes})


def keras_cost(config: TrialConfig, image_shape: tuple[int, int, int], num_classes: int) -> TrialCost:
    """Counted on the model that is trained."""
    model = build_model(config, image_shape, num_classes)
    multiply_adds = num_map_values = 0
    for layer in model.layers:
        sides = layer.output.shape[1:-1]
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            multiply_adds += int(np.prod(sides) * np.prod(layer.kernel.shape))
        if isinstance(layer, keras.layers.Conv2D | keras.layers.MaxPooling2D):
            num_map_values += int(np.prod(layer.output.shape[1:]))
    batch_size = config.training.batch_size
    num_bytes = 4 * (4 * model.count_params() + 3 * batch_size * num_map_values)
    return TrialCost(3 * 2 * batch_size * multiply_adds, num_bytes)


@pytest.mark.parametrize(
    ("model", "image_shape"),
    [
        ({"filters": [16, 32], "dense_units": 120, "padding": "same"}, (8, 8, 1)),
        ({"filters": [4, 8, 6], "dense_units": 7, "kernel": 3}, (28, 28, 1)),
        ({"filters": [5, 3], "kernel": 2, "pool": 3, "batch_norm": True, "dropout": 0.5}, (13, 17, 3)),
        ({"filters": [4, 4], "pool": 1}, (8, 8, 1)),
        ({"filters": [4, 6, 8, 10], "convolutions_per_pool": 2}, (28, 28, 1)),
    ],
)
def test_cost_is_that_of_the_keras_model(model: dict[str, Any], image_shape: tuple[int, int, int]) -> None:
    config = TrialConfig.from_values({"model": model, "training": {"batch_size": 24}}, "test")
    assert trial_cost(config, image_shape, 10) == keras_cost(config, image_shape, 10)


def test_cost_of_a_space_is_that_of_its_largest_config() -> None:
    space = load_space(SPACES / "cnn_mnist.toml")
    largest = TrialConfig.from_values({"model": {"filters": [64, 64, 128], "dense_units": 128}}, "test")
    two = TrialConfig.from_values({"model": {"filters": [64, 64], "dense_units": 128}}, "test")
    costs = [trial_cost(config, (28, 28, 1), 10) for config in (largest, two)]  # two have the larger dense layer
    assert largest_cost(space, (28, 28, 1), 10) == TrialCost(
        max(cost.step_flops for cost in costs), max(cost.lane_bytes for cost in costs)
    )


def test_cost_of_a_users_builder_is_unknown() -> None:
    space = parse_space({"study": {"name": "mine"}, "model": {"builder": "my_models:build"}}, "space.toml")
    assert largest_cost(space, (8, 8, 1), 10) is None


@pytest.mark.parametrize(
    ("changes", "engine", "num_lanes"),
    [
        ({}, "packed", 2),
        ({"num_trials": 3}, "packed", 2),
        ({"num_trials": 7, "threads": 8}, "packed", 2),
        ({"num_trials": 1}, "packed", 1),
        ({"threads": 8, "memory_bytes": 6 * 10**7}, "packed", 3),
        ({"memory_bytes": 1}, "packed", 1),
        ({"cost": LARGE}, "packed", 2),
        ({"cost": LARGE, "memory_bytes": 4 * 10**9}, "packed", 2),
        ({"cost": LARGE, "memory_bytes": 3 * 10**9}, "sequential", 1),
        ({"cost": LARGE, "num_trials": 1}, "sequential", 1),
        ({"cost": LARGE, "num_trials": 1, "threads": 1}, "packed", 1),
        ({"cost": LARGE, "num_trials": 36, "threads": 16}, "packed", 9),
        ({"cost": LARGE, "num_trials": 32, "threads": 16}, "sequential", 1),
        ({"cost": None}, "sequential", 1),
        ({"device_kind": "gpu", **JAX}, "packed", 128),
        ({"device_kind": "gpu", "memory_bytes": None, **JAX}, "packed", 128),
        ({"device_kind": "gpu", "cost": LARGE, "memory_bytes": 80 * 10**9, **JAX}, "packed", 40),
        ({"device_kind": "gpu", "num_trials": 100, **JAX}, "packed", 25),
        ({"device_kind": "gpu", "cost": LARGE, "num_trials": 1, **JAX}, "packed", 1),
        ({"device_kind": "gpu", "keras_backend": "tensorflow"}, "packed", 1),
        ({"device_kind": "gpu", "cost": None, **JAX}, "sequential", 1),
    ],
)
def test_rule(changes: dict[str, Any], engine: str, num_lanes: int) -> None:
    choice = choose(situation(**changes))
    assert (choice.engine, choice.num_lanes) == (engine, num_lanes)


@pytest.mark.parametrize(
    ("threads", "num_trials", "is_adaptive", "num_lanes"),
    [
        (2, 30, True, 2),
        (16, 30, True, 7),
        (64, 30, True, 7),
        (2, 1000, True, 2),
        (16, 1000, True, 16),
        (64, 1000, True, 64),
        (2, 30, False, 2),
        (16, 30, False, 16),
        (64, 30, False, 30),
    ],
)
def test_lanes_leave_scores_something_to_decide(
    threads: int, num_trials: int, is_adaptive: bool, num_lanes: int
) -> None:
    """A lane on each thread, but no more than a quarter of the trials where sampler or pruner look at scores."""
    choice = choose(situation(threads=threads, num_trials=num_trials, is_adaptive=is_adaptive))
    assert (choice.engine, choice.num_lanes) == ("packed", num_lanes)
    assert (f"{num_trials} trials" in choice.reason) == (num_lanes < threads)


@pytest.mark.parametrize(
    ("changes", "asked", "engine", "num_lanes"),
    [
        ({}, {"num_lanes": 50}, "packed", 50),
        ({"num_trials": 1}, {"num_lanes": 3}, "packed", 3),
        ({"cost": LARGE, "threads": 16}, {"num_lanes": 3}, "packed", 3),
        ({"cost": LARGE, "threads": 16}, {"num_lanes": 1}, "sequential", 1),
        ({}, {"num_lanes": 1}, "packed", 1),
        ({}, {"engine": "sequential"}, "sequential", 1),
        ({}, {"engine": "sequential", "num_lanes": 1}, "sequential", 1),
        ({"cost": LARGE, "num_trials": 1}, {"engine": "packed"}, "packed", 1),
        ({"cost": None}, {"engine": "packed"}, "packed", 2),
        ({"cost": None}, {"num_lanes": 4}, "packed", 4),
        ({"cost": None}, {"engine": "packed", "num_lanes": 4}, "packed", 4),
        ({}, {"engine": "fake"}, "fake", 1),
        ({}, {"engine": "fake", "num_lanes": 4}, "fake", 4),
    ],
)
def test_what_is_asked_for_is_given(
    changes: dict[str, Any], asked: dict[str, Any], engine: str, num_lanes: int
) -> None:
    choice = choose(situation(**changes), **asked)
    assert (choice.engine, choice.num_lanes) == (engine, num_lanes)
    assert "as requested" in choice.reason


def test_lanes_of_the_sequential_engine_are_refused_with_the_fix() -> None:
    with pytest.raises(InputError, match=r"--lanes 4: the sequential engine has .*lane; .*use --engine packed"):
        choose(situation(), engine="sequential", num_lanes=4)


def test_reason_is_said_with_its_numbers() -> None:
    cost = TrialCost(13_400_000, 21_000_000)
    why = "cpu with 2 threads; up to 13.4 million floating-point operations per training step and 21.0 MB per model"
    assert choose(situation(cost=cost)).line() == f"engine: packed, 2 lanes (2 models at a time; {why})"
    one = choose(situation(cost=cost), num_lanes=1).line()
    assert one == f"engine: packed, 1 lane (1 model at a time; lanes as requested; {why})"
    sequential = choose(situation(cost=LARGE, num_trials=1)).line()
    assert sequential.startswith(
        "engine: sequential, 1 lane (1 model at a time; cpu with 2 threads; up to 10,000.0 million"
    )
    assert sequential.endswith("1 lane at most would be busy)")
    assert "my_models:build" in choose(situation(cost=None, without_lanes=("my_models:build",))).line()


def test_only_packed_lanes_have_operations_of_one_thread() -> None:
    assert [operation_threads(engine, 8) for engine in ("packed", "sequential", "fake")] == [1, 8, 8]


def test_the_memory_of_this_machine_is_a_plausible_number() -> None:
    assert 2**28 < engine_choice.host_memory_bytes() < 2**50
