"""Schedules against their formulas, and inverse time against rates that were printed elsewhere."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sweep.config.training import ScheduleConfig
from sweep.engines.schedules import build_schedule

PRINTED = {  # initial_rate 0.001, decay_steps 1, decay_rate 0.001; the articles' figures, float32
    12194: "7.57920279e-05",
    14070: "6.6357e-05",
    17822: "5.3129319e-05",
    20636: "4.6219262e-05",
    21574: "4.42987512e-05",
    28140: "3.43170905e-05",
    32830: "2.95595619e-05",
    51590: "1.90150222e-05",
    64722: "1.52156063e-05",
    65660: "1.50015e-05",
    71288: "1.38335554e-05",
}


@pytest.mark.parametrize(("step", "printed"), PRINTED.items())
@pytest.mark.parametrize("decay_steps", [None, 1])
def test_inverse_time_gives_the_printed_rates(step: int, printed: str, decay_steps: int | None) -> None:
    config = ScheduleConfig(name="inverse_time", initial_learning_rate=0.001, decay_rate=0.001, decay_steps=decay_steps)
    rate = np.float32(build_schedule(config, 99)(step))
    digits = len(printed.split("e")[0]) - 2
    assert abs(rate - np.float32(printed)) <= max(np.spacing(rate), 10.0 ** -(digits + 5) / 2)


FORMULAS: list[tuple[dict[str, Any], Callable[[int], float]]] = [
    (
        {"name": "inverse_time", "decay_rate": 0.5, "decay_steps": 10},
        lambda step: 0.1 / (1 + 0.5 * step / 10),
    ),
    (
        {"name": "inverse_time", "decay_rate": 0.5, "decay_steps": 10, "staircase": True},
        lambda step: 0.1 / (1 + 0.5 * (step // 10)),
    ),
    (
        {"name": "exponential", "decay_rate": 0.9, "decay_steps": 10},
        lambda step: 0.1 * 0.9 ** (step / 10),
    ),
    (
        {"name": "exponential", "decay_rate": 0.9, "decay_steps": 10, "staircase": True},
        lambda step: 0.1 * 0.9 ** (step // 10),
    ),
    (
        {"name": "cosine"},
        lambda step: 0.1 * (1 + math.cos(math.pi * min(step, 40) / 40)) / 2,
    ),
    (
        {"name": "cosine", "decay_steps": 20, "alpha": 0.1},
        lambda step: 0.1 * (0.9 * (1 + math.cos(math.pi * min(step, 20) / 20)) / 2 + 0.1),
    ),
]


@pytest.mark.parametrize(("options", "formula"), FORMULAS, ids=[str(options) for options, _ in FORMULAS])
@pytest.mark.parametrize("step", [0, 1, 9, 10, 25, 40, 60])
def test_schedules_follow_their_formulas(options: dict[str, Any], formula: Callable[[int], float], step: int) -> None:
    schedule = build_schedule(ScheduleConfig(initial_learning_rate=0.1, **options), total_steps=40)
    assert float(schedule(step)) == pytest.approx(formula(step), rel=1e-5, abs=1e-9)


def test_constant_is_a_plain_number_that_callbacks_can_set() -> None:
    assert build_schedule(ScheduleConfig(initial_learning_rate=0.02), 40) == 0.02
