"""Peak memory of loading images, as a multiple of their bytes in the source.

    SWEEP_DATA=DIR python benchmarks/loading.py [--out benchmarks/RESULTS.md]

Loads MNIST (60,000 images of 28 x 28 uint8) from its IDX files and from .npz files, each in a process of its own, and
asks tracemalloc, which NumPy reports to. `kept` is what is held after loading. Appends a table.
"""

import argparse
import gc
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import results

from sweep.config.data import DataConfig
from sweep.data import load, load_raw_test, read_pool

HEADER = ("source", "scaling", "image bytes, MB", "peak / image bytes", "kept / image bytes")
CASES: dict[str, dict[str, Any]] = {
    "mnist, IDX": {"name": "mnist"},
    "mnist, IDX, standard": {"name": "mnist", "scaling": "standard"},
    "npz, x_train and x_test": {"name": "npz", "path": "parts.npz"},
    "npz, x": {"name": "npz", "path": "whole.npz"},
    "npz, x as float32": {"name": "npz", "path": "floats.npz"},
    "npz, six folds": {"name": "npz", "path": "whole.npz", "num_folds": 6},
}


def main() -> None:
    """Measure every case, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=results.RESULTS)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.case is not None:
        print(json.dumps(measure(CASES[options.case], options.folder)))
        return
    machine = results.describe_machine()
    with results.scratch_folder() as folder:
        write_files(Path(folder))
        rows = [row(case, Path(folder)) for case in CASES]
    results.append(options.out, "Memory of loading", machine, results.table(HEADER, rows), (__doc__ or "").strip())


def write_files(folder: Path) -> None:
    """MNIST as .npz files."""
    config = DataConfig(name="mnist")
    raw = read_pool(config)
    images, labels = raw[0], raw[1]
    test = load_raw_test(config)
    np.savez(folder / "parts.npz", x_train=images, y_train=labels, x_test=test[0], y_test=test[1])
    np.savez(folder / "whole.npz", x=images, y=labels)
    np.savez(folder / "floats.npz", x=images.astype(np.float32) / 255, y=labels)


def row(case: str, folder: Path) -> list[object]:
    """In a process of its own."""
    command = [sys.executable, __file__, "--case", case, "--folder", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured = json.loads(done.stdout.splitlines()[-1])
    return [case, CASES[case].get("scaling", "unit"), measured["bytes"] / 1e6, measured["peak"], measured["kept"]]


def measure(keys: dict[str, Any], folder: Path) -> dict[str, float]:
    """Load once, or every fold; ratios to the bytes of the pool's images."""
    keys = {**keys, "path": str(folder / keys["path"])} if "path" in keys else keys
    folds = range(1, keys.get("num_folds", 0) + 1)
    configs = [DataConfig(**keys, fold=fold) for fold in folds] or [DataConfig(**keys)]
    load(DataConfig())  # imports
    gc.collect()
    tracemalloc.start()
    datasets = [load(config) for config in configs]
    kept, peak = tracemalloc.get_traced_memory()
    num_bytes = datasets[0].images.nbytes
    return {"bytes": num_bytes, "peak": peak / num_bytes, "kept": kept / num_bytes}


if __name__ == "__main__":
    main()
