"""CPU seconds a lane-epoch of MNIST on this CPU: float32 and mixed_bfloat16, with oneDNN and without it.

    SWEEP_DATA=DIR python benchmarks/precision.py [--backend jax] [--isa AVX2] [--epochs 2] [--engine sequential]

Each row is a process of its own (`lane_run.py`): the packed engine with a lane on each thread, 10,000 images of MNIST,
an epoch's validation included, the first epoch apart. `--isa` sets ONEDNN_MAX_CPU_ISA, which keeps oneDNN, not the
rest of TensorFlow, from newer instructions: an imitation of an older processor, not one. JAX has no oneDNN to choose.
"""

import argparse
import os
import statistics
import sys
from itertools import product
from pathlib import Path

import results
from lane_run import Job, run_job

from sweep.engines.cpu import ONEDNN, cpu_flags

PRECISIONS = ("float32", "mixed_bfloat16")
IMAGES = 10_000  # of an epoch in the table; fewer are trained where a combination is slow
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_tile")  # that TensorFlow and oneDNN look for
HEADER = ("engine", "oneDNN", "precision", "CPU s a lane-epoch", "of each epoch", "images trained", "val_accuracy")


def main() -> None:
    """Measure each combination, append a table."""
    options = _parse_arguments()
    machine = results.describe_machine()
    settings = options.onednn if options.backend == "tensorflow" else ["-"]
    rows = []
    for onednn, precision in product(settings, options.precision):
        rows.append(measure(precision, onednn, options))
        print(results.table(HEADER, rows[-1:]), file=sys.stderr, flush=True)
    text = (
        f"The processor has {', '.join(flag for flag in FLAGS if flag in cpu_flags())} "
        f"and not {', '.join(flag for flag in FLAGS if flag not in cpu_flags())}. Keras on {options.backend}, "
        f"{options.threads} lanes of mnist.toml on {options.threads} threads, {options.epochs} epochs after the first"
        f"{f'; ONEDNN_MAX_CPU_ISA={options.isa}' if options.isa else ''}."
    )
    results.append(options.out, "Precision and oneDNN", machine, results.table(HEADER, rows), text)


def measure(precision: str, onednn: str, options: argparse.Namespace) -> list[object]:
    """One process that trains; one row."""
    job = Job(
        engine=options.engine,
        space=str(results.ROOT / "benchmarks" / "spaces" / "mnist.toml"),
        lanes=list(range(options.threads if options.engine == "packed" else 1)),
        epochs=1 + options.epochs,
        threads=options.threads,
        overrides=[
            f"training.precision={precision}",
            f"data.num_train={options.images}",
            f"data.num_validation={options.images // 5}",
        ],
    )
    environment = os.environ | {"KERAS_BACKEND": options.backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= {ONEDNN: onednn} if onednn != "-" else {}
    environment |= {"ONEDNN_MAX_CPU_ISA": options.isa} if options.isa else {}
    measured = run_job(job, environment)
    cpu_s = [seconds / len(job.lanes) * IMAGES / options.images for seconds in measured.epoch_cpu_s[1:]]
    shown = {"1": "on", "0": "off"}.get(onednn, "-")
    each = ", ".join(f"{seconds:.2f}" for seconds in cpu_s)
    score = statistics.median(measured.val_accuracy)
    return [options.engine, shown, precision, statistics.median(cpu_s), each, options.images, score]


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backend", choices=("tensorflow", "jax"), default="tensorflow")
    parser.add_argument("--engine", choices=("packed", "sequential"), default="packed")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--onednn", nargs="+", choices=("0", "1"), default=["1", "0"], help="off, on (both)")
    parser.add_argument("--isa", metavar="NAME", help="the newest instructions oneDNN may use: AVX2, AVX512_CORE")
    parser.add_argument("--epochs", type=int, default=2, metavar="N", help="measured after the first (2)")
    parser.add_argument("--images", type=int, default=10000, metavar="N", help="of the training part (10000)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="(all cores)")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
