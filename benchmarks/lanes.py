"""How much faster more lanes are: images per second of the packed engine against the number of lanes.

    SWEEP_DATA=DIR python benchmarks/lanes.py [--work digits digits_same mnist] [--most-lanes 128]

Each number of lanes trains in a process of its own (`lane_run.py`), and so does the sequential engine, for comparison.
Counted are training images; the seconds are those of whole epochs, validation included, the first one apart, as it
compiles. Memory a lane: growth of resident memory from before the first lane to after the second epoch, divided by the
lanes (so one lane bears what all share). Beside it: the rate of the machine's own matrix products, measured anew before
each, and how much of it the training's arithmetic reaches (`arithmetic.py`). Writes a table and a picture.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

import lanes_plot
import results
from arithmetic import OPERATIONS, SIDE, matrix_product_rate
from lane_run import Job, JobFailed, Measured, run_job

ENVIRONMENT = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
MOST_LANES = {"digits": 128, "digits_same": 128, "mnist": 16}  # an epoch of more lanes of mnist takes minutes
NUM_EPOCHS = {"digits": 20, "digits_same": 10, "mnist": 3}  # after the first; those of digits are short
HEADER = (
    "work", "engine", "lanes", "images/s", "against sequential", "first epoch s", "epoch s", "fastest and slowest",
    "memory MB a lane", "GFLOP/s", "matrix products", "share",
)  # fmt: skip


def main() -> None:
    """Measure every work, then append one table and draw it."""
    options = _parse_arguments()
    machine = results.describe_machine()
    rows: list[list[object]] = []
    try:
        for work in options.work:
            if work == "mnist" and not os.environ.get("SWEEP_DATA"):
                _say("mnist: skipped, as SWEEP_DATA is not set; set it to a folder that holds mnist/")
                continue
            rows += measure_work(work, options)
    finally:
        if rows:
            num_epochs = {
                work: options.epochs or NUM_EPOCHS[work] for work in dict.fromkeys(str(row[0]) for row in rows)
            }
            text = describe_columns(options.threads, num_epochs)
            results.append(options.out, "Lanes of the packed engine", machine, results.table(HEADER, rows), text)
            lanes_plot.draw(rows, options.plot or _picture(options.out))


def _picture(out: Path) -> Path:
    """Return the picture of the documentation, or one next to a results file of its own."""
    return (results.ROOT / "docs" / "pictures" if out == results.RESULTS else out.parent) / "lanes.svg"


def measure_work(work: str, options: argparse.Namespace) -> list[list[object]]:
    """A row for the sequential engine, and one for each number of lanes."""
    alone, gflops = measure("sequential", work, 1, options)
    base = images_per_s(alone, 1)
    rows = [[work, "sequential", 1, *summarize(alone, 1, base, gflops)]]
    for num_lanes in lane_counts(min(MOST_LANES[work], options.most_lanes)):
        try:
            measured, gflops = measure("packed", work, num_lanes, options)
        except JobFailed as error:  # too much memory for the last ones: what was measured before stands
            _say(f"{work}: {num_lanes} lanes failed: {error}")
            rows.append([work, "packed", num_lanes, f"failed: {error}", *["-"] * (len(HEADER) - 4)])
            continue
        rows.append([work, "packed", num_lanes, *summarize(measured, num_lanes, base, gflops)])
    return rows


def measure(engine: str, work: str, num_lanes: int, options: argparse.Namespace) -> tuple[Measured, float]:
    """One process that trains, and the GFLOP/s of matrix products just before: a shared machine's rate drifts."""
    gflops = matrix_product_rate(options.threads, ENVIRONMENT)
    measured = run_job(make_job(engine, work, num_lanes, options), ENVIRONMENT)
    _say(f"{work}: {engine}, lanes: {num_lanes}, {images_per_s(measured, num_lanes):.0f} images/s")
    return measured, gflops


def lane_counts(most: int) -> list[int]:
    """1, 2, 4, ... up to `most`."""
    return [1 << power for power in range(most.bit_length())]


def make_job(engine: str, work: str, num_lanes: int, options: argparse.Namespace) -> Job:
    """The job of one process."""
    return Job(
        engine=engine,
        space=str(results.ROOT / "benchmarks" / "spaces" / f"{work}.toml"),
        lanes=list(range(num_lanes)),
        epochs=1 + (options.epochs or NUM_EPOCHS[work]),
        threads=options.threads,
    )


def images_per_s(measured: Measured, num_lanes: int) -> float:
    """Training images of all lanes a second, by the median epoch after the first."""
    return num_lanes * measured.num_images / statistics.median(measured.epoch_s[1:])


def summarize(measured: Measured, num_lanes: int, base: float, gflops: float) -> list[object]:
    """The columns from images/s on."""
    rate = images_per_s(measured, num_lanes)
    reached = rate * measured.image_gflop
    first, *rest = measured.epoch_s
    spread = f"{min(rest):.3f}, {max(rest):.3f}"
    memory = measured.memory_mb / num_lanes
    times = [f"{rate / base:.2f}x", first, statistics.median(rest), spread]
    return [rate, *times, memory, reached, gflops, f"{reached / gflops:.0%}"]


def describe_columns(threads: int, num_epochs: dict[str, int]) -> str:
    """What stands under the table."""
    return (
        "Images/s: training images of all lanes by the median epoch; an epoch's seconds include its "
        f"validation, whose arithmetic is not counted. GFLOP/s: 3 x {OPERATIONS} x the multiply-adds of the forward "
        "pass for each training image, the first layer's gradient of its input counted though nobody computes it. "
        f"Matrix products: GFLOP/s of the machine in float32, {SIDE}x{SIDE}, {threads} threads, keras.ops.matmul, in a "
        "process just before the row's own. All lanes have the widest filters; rates, momentum and penalties differ. "
        "Each row is a process of its own; "
        "the epochs after the first, of which the median is given, were "
        f"{', '.join(f'{number} ({work})' for work, number in num_epochs.items())}."
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", nargs="+", choices=MOST_LANES, default=[*MOST_LANES])
    parser.add_argument("--epochs", type=int, metavar="N", help="measured after the first (20, 10, 3)")
    parser.add_argument("--most-lanes", type=int, default=128, metavar="K", help="at most so many lanes (128)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="(all cores)")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="the picture (docs/pictures/lanes.svg)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
