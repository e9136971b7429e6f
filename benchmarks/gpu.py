"""The packed engine on a GPU: many lanes of full-size MNIST against one trial at a time, Keras on JAX.

    SWEEP_DATA=DIR python benchmarks/gpu.py [--lanes 1 8 32 128 256] [--images 60000] [--out FILE]

Needs `pip install 'jax[cuda12]'`; without SWEEP_DATA Keras downloads MNIST. Five sixths of the images are trained on, a
sixth validates. For float32 and mixed_bfloat16, each in a process of its own (`lane_run.py`): the sequential engine,
then each number of lanes. Measured: epochs of single trials a second (median epoch after the first, which compiles),
how many times that is more than one at a time (so many times more trials an hour), the GPU's memory, and how far the
validation accuracies of some lanes are from the same trials trained one at a time.
Without a GPU: one line, exit code 2; `--allow-cpu` tries it out all the same.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

import results
from lane_run import Job, JobFailed, Measured, run_job

ENVIRONMENT = os.environ | {"KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
LANES = [1, 8, 32, 128, 256]
PRECISIONS = ["float32", "mixed_bfloat16"]
COMPARED = (0, 5, 31, 100, 200)  # lanes whose accuracy is compared with one at a time
VALIDATION_SHARE = 6
INPUT_ERROR = 2
HEADER = (
    "precision", "engine", "lanes", "trial epochs/s", "against one at a time", "first epoch s", "epoch s",
    "memory MB", "val_accuracy, median of lanes", "largest difference from one at a time",
)  # fmt: skip


def main() -> int:
    """Measure every precision, append a table; 2 where there is no GPU or no data."""
    options = _parse_arguments()
    rows, devices = [], set()
    try:
        for precision in options.precision:
            measure_precision(precision, options, rows, devices)
    except JobFailed as error:
        is_about_device = str(error).startswith("--device")
        _say(f"{error}{'; --allow-cpu tries it out without a GPU' if is_about_device else ''}")
        return error.exit_code if error.exit_code == INPUT_ERROR else 1
    finally:
        if rows:
            write(rows, ", ".join(sorted(devices)), options)
    return 0


def measure_precision(precision: str, options: argparse.Namespace, rows: list[list[object]], devices: set[str]) -> None:
    """Add the rows of one precision. JobFailed if one at a time fails; more lanes that fail get a row that says so."""
    compared = [lane for lane in COMPARED if lane < max(options.lanes)]
    alone = run_job(make_job("sequential", precision, compared, options), ENVIRONMENT)
    devices.add(alone.device)
    base = 1 / median_epoch_s(alone)
    rows.append([precision, "sequential", 1, *summarize(alone, 1, base), "-"])
    _say(f"{precision}: sequential, {base:.2f} trial epochs/s")
    scores = dict(zip(compared, alone.val_accuracy, strict=True))
    for num_lanes in options.lanes:
        try:
            measured = run_job(make_job("packed", precision, list(range(num_lanes)), options), ENVIRONMENT)
        except JobFailed as error:
            _say(f"{precision}: {num_lanes} lanes failed: {error}")
            rows.append([precision, "packed", num_lanes, f"failed: {error}", *["-"] * (len(HEADER) - 4)])
            continue
        difference = max(abs(measured.val_accuracy[lane] - scores[lane]) for lane in compared if lane < num_lanes)
        rows.append([precision, "packed", num_lanes, *summarize(measured, num_lanes, base), f"{difference:.4f}"])
        _say(f"{precision}: {num_lanes} lanes, {num_lanes / median_epoch_s(measured):.2f} trial epochs/s")


def make_job(engine: str, precision: str, lanes: list[int], options: argparse.Namespace) -> Job:
    """The job of one process."""
    num_validation = options.images // VALIDATION_SHARE
    return Job(
        engine=engine,
        space=str(results.ROOT / "benchmarks" / "spaces" / "mnist_gpu.toml"),
        lanes=lanes,
        epochs=1 + options.epochs,
        device="auto" if options.allow_cpu else "gpu:0",
        overrides=[
            f"training.precision={precision}",
            f"data.num_validation={num_validation}",
            f"data.num_train={options.images - num_validation}",
        ],
    )


def median_epoch_s(measured: Measured) -> float:
    """Of the epochs after the first."""
    return statistics.median(measured.epoch_s[1:])


def summarize(measured: Measured, num_lanes: int, base: float) -> list[object]:
    """The columns from trial epochs a second on, without the last."""
    rate = num_lanes / median_epoch_s(measured)
    times = [rate, f"{rate / base:.1f}x", measured.epoch_s[0], median_epoch_s(measured)]
    return [*times, measured.memory_mb, f"{statistics.median(measured.val_accuracy):.4f}"]


def write(rows: list[list[object]], device: str, options: argparse.Namespace) -> None:
    """Append the section."""
    text = (
        "Conv 64, 64, 128 and dense 120, batch size 64; training and validation of an epoch counted. Trial epochs/s: "
        "lanes divided by the median epoch after the first, which compiles and is apart. Memory: the backend's peak on "
        "the GPU (on a CPU: growth of resident memory). Largest difference: of val_accuracy after the last epoch, over "
        f"those of the lanes {', '.join(str(lane) for lane in COMPARED)} that there are. Each row is a process."
    )
    title = f"GPU, MNIST of {options.images:,} images, {options.epochs} epochs after the first"
    machine = results.describe_machine(device, ["jax"])
    results.append(options.out, title, machine, results.table(HEADER, rows), text)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lanes", nargs="+", type=int, default=LANES, metavar="K", help="(1 8 32 128 256)")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--images", type=int, default=60_000, metavar="N", help="train and validation (60,000)")
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="measured after the first (3)")
    parser.add_argument("--allow-cpu", action="store_true", help="go on without a GPU, to try it out small")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
