"""A user's functions, named in space files of tests: also found by worker processes."""

import math
import random
import sys

import numpy as np


def noisy(x: float, y: float = 0.0) -> float:
    """Noise from both global generators."""
    return (x - 1) ** 2 + y**2 + random.random() + float(np.random.normal())


def failing(x: float) -> float:
    """Something else goes wrong at each x from 0 to 5."""
    if x == 0:
        raise KeyError("no such row")
    if x == 1:
        sys.exit("enough")
    return [x, x, "7", math.nan, math.inf, [1.0, 2.0]][int(x)]  # type: ignore[return-value]


def two(x: float, y: float) -> tuple[float, np.ndarray]:
    """Two values that cannot both be low."""
    return x**2 + y**2, np.float64((x - 2) ** 2 + y**2)


def conditional(kind: str, y: float = -9.0) -> float:
    """Has `y` only where it is asked for."""
    return y


NO_FUNCTION = 3
