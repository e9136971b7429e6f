"""Peak memory and compilations of the packed engine where a trial has folds.

    SWEEP_DATA=DIR python benchmarks/folds.py [--backend jax]

Folds of MNIST's 60,000 images train for an epoch each, two lanes at a time, one fold or all six, in a process of its
own. A small model, so that the images are most of the memory. Appends a table.
"""

import argparse
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import results
from processes import MAXRSS_BYTES, run_for_json

NUM_FOLDS, LANES = 6, 2
HEADER = ("backend", "folds", "compilations", "peak memory MB", "mean val_accuracy")


def main() -> None:
    """Measure one fold and all of them, or the number that a child is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backend", choices=("tensorflow", "jax"), default="tensorflow")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        print(json.dumps(measure(options.child)))
        return
    environment = os.environ | {"KERAS_BACKEND": options.backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    machine = results.describe_machine()
    rows = [
        [options.backend, number, *run_for_json([sys.executable, __file__, "--child", str(number)], environment)]
        for number in (1, NUM_FOLDS)
    ]
    results.append(options.out, "Folds", machine, results.table(HEADER, rows), (__doc__ or "").strip())


def measure(num_folds: int) -> list[float]:
    """What the header's last columns say, of this process."""
    from sweep.engines.auto import operation_threads
    from sweep.engines.cpu import default_onednn
    from sweep.engines.devices import set_up_device

    set_up_device("cpu", LANES, operation_threads=operation_threads("packed", LANES), onednn=default_onednn())
    from sweep.engines.packed.engine import PackedEngine

    engine, scores = PackedEngine(LANES, LANES, widest=[(8, 16)]), []
    for first in range(0, num_folds, LANES):
        scores += train(engine, range(first, min(first + LANES, num_folds)))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MAXRSS_BYTES / 1e6
    return [engine.num_compilations, round(peak_mb), sum(scores) / len(scores)]


def train(engine: Any, folds: range) -> list[float]:
    """One epoch of each fold, on a lane of its own: validation accuracies."""
    from sweep.config.trial import TrialConfig

    for lane, fold in enumerate(folds):
        values = {
            "data": {"name": "mnist", "num_folds": NUM_FOLDS, "fold": fold + 1},
            "model": {"filters": [8], "dense_units": 16},
            "training": {"epochs": 1, "batch_size": 64},
        }
        engine.admit(lane, TrialConfig.from_values(values, "folds.py"))
    outcomes = engine.train_epoch()
    for lane in range(len(folds)):
        engine.evict(lane)
    return [outcomes[lane].logs["val_accuracy"] for lane in range(len(folds))]


if __name__ == "__main__":
    main()
