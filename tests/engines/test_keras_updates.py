"""The golden optimizer steps of the tests in keras/src/optimizers (Keras 3.15), through a lane's update.

Keras's tests give some optimizers other constants than its defaults; those are set here in the same way.
"""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from numpy.typing import NDArray

from sweep.engines.packed import updates as lane_updates
from sweep.engines.packed.structure import LaneNumbers

GRADIENTS, WEIGHTS = [1.0, 6.0, 7.0, 2.0], [1.0, 2.0, 3.0, 4.0]
FIRST, THEN = np.full(10, 0.01), np.arange(0.1, 1.1, 0.1)
NO_NUMBERS = dict.fromkeys(("l1", "l2", "momentum", "nesterov", "weight_decay", "label_smoothing"), 0.0)


class Lane:
    """Weights that are updated a step at a time."""

    def __init__(self, optimizer: str, weights: Any, rate: float, **numbers: float) -> None:
        self.optimizer, self.rate, self.count = optimizer, rate, 0
        self.weights = ops.convert_to_tensor(np.asarray(weights), "float32")
        self.slots = [ops.zeros_like(self.weights) for _ in range(lane_updates.NUM_SLOTS[optimizer])]
        self.numbers = LaneNumbers(**{name: tensor(value) for name, value in {**NO_NUMBERS, **numbers}.items()})

    def step(self, gradients: Any) -> NDArray[Any]:
        products = lane_updates.momentum_products(self.optimizer, self.count + 1, "float32")
        self.count += 1
        self.weights, self.slots = lane_updates.update(
            self.optimizer,
            self.weights,
            tensor(gradients),
            self.slots,
            self.numbers,
            tensor(self.rate),
            tensor(products[-1]),
            tensor(self.count),
        )
        return np.asarray(ops.convert_to_numpy(self.weights))


def tensor(value: Any) -> Any:
    return ops.convert_to_tensor(np.asarray(value), "float32")


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("sgd", [0.5, -1.0, -0.5, 3.0]),
        ("rmsprop", [-0.5811, 0.4189, 1.4189, 2.4189]),
        ("adam", [0.5, 1.5, 2.5, 3.5]),
        ("adamw", [0.4980, 1.4960, 2.494, 3.492]),
        ("nadam", [0.4686, 1.4686, 2.4686, 3.4686]),
        ("adamax", [0.5, 1.5, 2.5, 3.5]),
    ],
)
def test_the_single_step_of_keras(optimizer: str, expected: list[float]) -> None:
    lane = Lane(optimizer, WEIGHTS, 0.5, weight_decay=0.004 if optimizer == "adamw" else 0.0)
    np.testing.assert_allclose(lane.step(GRADIENTS), expected, rtol=1e-4, atol=1e-4)


GOLDEN: dict[str, tuple[float, dict[str, float], dict[str, float], Any]] = {  # rate, numbers, constants, weights
    "sgd": (0.01, {"nesterov": 1.0}, {}, [0.9999 - 0.01 * step * THEN for step in range(5)]),
    "adam": (0.001, {}, {}, np.tile([[0.999], [0.9982], [0.9974], [0.9965], [0.9955]], (1, 10))),
    "adamw": (
        1.0,
        {"weight_decay": 0.5},
        {"EPSILON": 2.0},
        [
            [0.4998] * 10,
            [0.2486, 0.2475, 0.2463, 0.2451, 0.244, 0.2428, 0.2417, 0.2405, 0.2394, 0.2382],
            [0.1223, 0.1198, 0.1174, 0.1149, 0.1124, 0.11, 0.1075, 0.1051, 0.1027, 0.1003],
            [0.0586, 0.0549, 0.0512, 0.0475, 0.0439, 0.0402, 0.0366, 0.033, 0.0294, 0.0258],
            [0.0263, 0.0215, 0.0167, 0.012, 0.0073, 0.0026, -0.0021, -0.0067, -0.0113, -0.0159],
        ],
    ),
    "nadam": (
        0.5,
        {},
        {"BETA_1": 0.5, "BETA_2": 0.67, "EPSILON": 1e-5},
        [
            [0.4281] * 10,
            [-0.1738, -0.1731, -0.1726, -0.1723, -0.1721, -0.172, -0.1719, -0.1718, -0.1718, -0.1717],
            [-0.7115, -0.7103, -0.7096, -0.7092, -0.709, -0.7088, -0.7086, -0.7085, -0.7085, -0.7084],
            [-1.2335, -1.2322, -1.2313, -1.2309, -1.2306, -1.2304, -1.2302, -1.2301, -1.23, -1.2299],
            [-1.7492, -1.7478, -1.7469, -1.7464, -1.7461, -1.7459, -1.7457, -1.7456, -1.7455, -1.7454],
        ],
    ),
    "adamax": (
        0.2,
        {},
        {"BETA_1": 0.85, "BETA_2": 0.95, "EPSILON": 1e-6},
        [
            [0.8] * 10,
            [0.6827, 0.6873, 0.6888, 0.6896, 0.6901, 0.6904, 0.6906, 0.6908, 0.6909, 0.691],
            [0.5333, 0.5407, 0.5431, 0.5444, 0.5451, 0.5456, 0.546, 0.5462, 0.5464, 0.5466],
            [0.368, 0.3773, 0.3804, 0.382, 0.3829, 0.3835, 0.384, 0.3843, 0.3846, 0.3848],
            [0.1933, 0.204, 0.2076, 0.2094, 0.2105, 0.2112, 0.2117, 0.2121, 0.2124, 0.2126],
        ],
    ),
}


@pytest.mark.parametrize("optimizer", GOLDEN)
def test_the_golden_steps_of_keras(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adam's are those of amsgrad, which differs only where gradients fall."""
    rate, numbers, constants, expected = GOLDEN[optimizer]
    for name, value in constants.items():
        monkeypatch.setattr(lane_updates, name, value)
    lane = Lane(optimizer, np.ones(10), rate, **numbers)
    steps = [lane.step(gradients) for gradients in [FIRST, *[THEN] * 4]]
    np.testing.assert_allclose(steps, expected, rtol=5e-4, atol=5e-4)


SEQUENCES = {
    "of Keras's tests": [FIRST, *[THEN] * 20],
    "tiny": [*(1e-9 * np.random.default_rng(0).normal(size=(21, 10)))],
    "huge": [*(1e4 * np.random.default_rng(1).normal(size=(21, 10)))],
    "zero": [np.zeros(10)] * 21,
    "one, then zero": [np.ones(10), *[np.zeros(10)] * 20],
}


@pytest.mark.parametrize("sequence", SEQUENCES)
@pytest.mark.parametrize(
    ("optimizer", "kind", "options"),
    [
        ("sgd", keras.optimizers.SGD, {"momentum": 0.9, "nesterov": True}),
        ("sgd", keras.optimizers.SGD, {"momentum": 0.9}),
        ("rmsprop", keras.optimizers.RMSprop, {"momentum": 0.9}),
        ("adam", keras.optimizers.Adam, {}),
        ("adamw", keras.optimizers.AdamW, {"weight_decay": 0.5}),
        ("nadam", keras.optimizers.Nadam, {}),
        ("adamax", keras.optimizers.Adamax, {}),
    ],
)
def test_a_lane_moves_as_keras_does(optimizer: str, kind: Any, options: dict[str, Any], sequence: str) -> None:
    variable, theirs = keras.Variable(np.linspace(-1, 2, 10), dtype="float32"), kind(learning_rate=0.01, **options)
    lane = Lane(optimizer, np.linspace(-1, 2, 10), 0.01, **{name: float(value) for name, value in options.items()})
    for gradients in SEQUENCES[sequence]:
        theirs.apply([tensor(gradients)], [variable])
        ours, expected = lane.step(gradients), np.asarray(ops.convert_to_numpy(variable))
        np.testing.assert_allclose(ours, expected, rtol=2e-5, atol=2e-7)
