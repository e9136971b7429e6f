"""How much arithmetic the machine does in plain matrix products.

    python benchmarks/arithmetic.py 2        # GFLOP/s of float32 matrix products on two threads, as JSON

What training takes beside it is counted by `sweep.models.cost.trial_cost`, the first layer's gradient of its input
included, though nobody computes that.
"""

import json
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from processes import run_for_json

SIDE = 2000
REPEATS = 15
OPERATIONS = 2  # a multiplication and an addition


def matrix_product_rate(threads: int, environment: Mapping[str, str]) -> float:
    """GFLOP/s of a float32 product of two SIDE x SIDE matrices, in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), str(threads)]
    return float(run_for_json(command, environment))


def _measure_here(threads: int) -> float:
    from sweep.engines.devices import set_up_device

    set_up_device("cpu", threads)
    import keras
    import numpy as np

    generator = np.random.default_rng(0)
    left, right = (keras.ops.convert_to_tensor(generator.random((SIDE, SIDE), np.float32)) for _ in range(2))
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        keras.ops.convert_to_numpy(keras.ops.matmul(left, right))
        seconds.append(time.perf_counter() - started)
    return OPERATIONS * SIDE**3 / 1e9 / statistics.median(seconds)


if __name__ == "__main__":
    print(json.dumps(_measure_here(int(sys.argv[1]))))
