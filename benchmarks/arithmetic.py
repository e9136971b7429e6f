"""How much arithmetic a CNN takes, and how much the machine does in plain matrix products.

    python benchmarks/arithmetic.py 2        # GFLOP/s of float32 matrix products on two threads, as JSON

Training takes 3 times the forward pass (its outputs, the gradients of weights, the gradients of inputs), two operations
a multiply-add: the usual count. It includes the first layer's gradient of its input, which nobody computes.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

SIDE = 2000
REPEATS = 15
PASSES = 3  # forward, gradients of weights, gradients of inputs
OPERATIONS = 2  # a multiplication and an addition


def training_gflop(multiply_adds: int) -> float:
    """Billions of operations of one image's training step."""
    return PASSES * OPERATIONS * multiply_adds / 1e9


def matrix_product_rate(threads: int, environment: Mapping[str, str]) -> float:
    """GFLOP/s of a float32 product of two SIDE x SIDE matrices, in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), str(threads)]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{process.stderr[-3000:]}")
    return float(json.loads(process.stdout.splitlines()[-1]))


def _measure_here(threads: int) -> float:
    from sweep.devices import set_up_device

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
