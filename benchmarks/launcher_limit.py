"""How many workers one launcher can feed: trials per hour for 1 to 1,000 of them, from what was measured here.

    python benchmarks/launcher_limit.py [--trials 300]

Writes launcher_limit.md, whose text says how, and draws docs/pictures/launcher_limit.svg.
"""

import argparse
import itertools
import os
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import results
from processes import run_for_json

SPACE_FILE = results.ROOT / "benchmarks" / "spaces" / "digits.toml"
EPOCHS, LANES = 20, 8  # of a trial; of a worker
WORKERS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
ASSUMED_EPOCHS_S = (1.0, 10.0, 60.0)  # of a worker's lanes
MEASURED_LANES, MEASURED_EPOCHS = (1, 4, 16), (1, 20, 60)  # few lanes: the first trials, one a lane, cost TPE nothing
NUM_WORKERS, NUM_ROUNDS = 8, 100  # to measure messages
PAGE = results.ROOT / "benchmarks" / "launcher_limit.md"
MEASURING = f"""\
The launcher's own time was measured with the fake engine, TPE and the 6 parameters of spaces/digits.toml, in sweeps of
1, 4 and 16 lanes and of 1, 20 and 60 epochs a trial, and taken apart by least squares:

    seconds = a * trials + e * epochs of lanes + r * rounds + f * rounds that ask for trials

What it takes to ask a worker for an epoch and to read its answer, m, was measured with {NUM_WORKERS} workers of {LANES}
lanes of the fake engine, as CPU time of the launcher, in processes of this machine and in actors of Ray.

Then, by arithmetic, for W workers of K = {LANES} lanes each, E = {EPOCHS} epochs a trial: they train side by side while
the launcher waits, and wait while it tells (a round is an epoch of all of them):

    trials per hour = 3600 * W * K / E / (epoch_s + r + f / E + W * (m + K * (e + a / E)))

with Ray's m, and at most 3600 / (E * (e + m / K) + a), however many workers there are."""
NEXT = """\
## Where the limit is, and what would come next

The launcher stands still while its workers train, and they while it tells. So half of its limit is reached where both
take equally long: the last column. Up to there a sweep gains nearly in proportion to its workers; a study whose epochs
take seconds is far from it with hundreds of workers.

1. **Tell while they train**: start the next epoch of a worker once its own events are taken, and write the round's
   transaction meanwhile. The limit itself stays, and is reached with fewer workers. A trial that is pruned then trains
   one epoch more.
2. **Ask ahead**: TPE's ask is most of `a`. Asking for the next trials while lanes train takes it out of the round; they
   then know the trials of the round before, as they do with that many lanes anyway.
3. **Write every so many rounds**: `e` is rows of intermediate values. A round is durable today; every tenth would be
   enough where an epoch takes less than a second, and a kill would repeat ten of them.
4. **Fewer, larger workers**: m is paid for each worker, so a node of many cores or GPUs is better one worker of many
   lanes than many of few.
5. Beyond these, two studies: each has a launcher of its own, also in one database (PostgreSQL)."""
HEADER = ("a worker's epoch of 8 lanes", *(f"{workers:,} workers" for workers in WORKERS), "half the limit at")


def main() -> None:
    """Measure, reckon, append a table, draw."""
    options = _parse_arguments()
    if options.messages:
        print(messages_s(options.messages))
        return
    machine = results.describe_machine()
    trial_s, event_s, round_s, filling_s = costs(options.trials)
    together_s = round_s + filling_s / EPOCHS
    local_s, ray_s = (float(run_for_json([sys.executable, __file__, "--messages", kind])) for kind in ("local", "ray"))
    worker_s = ray_s + LANES * (event_s + trial_s / EPOCHS)
    epochs_s = {"digits, measured": digits_epoch_s(), **{f"{seconds:g} s": seconds for seconds in ASSUMED_EPOCHS_S}}
    curves = {
        name: [rate(workers, epoch_s + together_s, worker_s) for workers in WORKERS]
        for name, epoch_s in epochs_s.items()
    }
    limit = 3600 * LANES / EPOCHS / worker_s
    rows = [
        [f"{name} ({epochs_s[name]:.3g} s)", *(f"{value:,.0f}" for value in values), _half(values, limit)]
        for name, values in curves.items()
    ]
    said = (
        f"a = {1000 * trial_s:.1f} ms a trial (asking, telling), e = {1000 * event_s:.2f} ms an epoch of a lane, "
        f"r = {1000 * round_s:.2f} ms a round, f = {1000 * filling_s:.1f} ms more in one that asks, "
        f"m = {1000 * local_s:.2f} ms a worker and round in processes and {1000 * ray_s:.2f} ms in Ray's actors: "
        f"at most {limit:,.0f} trials of {EPOCHS} epochs per hour."
    )
    draw(curves, limit, results.ROOT / "docs" / "pictures" / "launcher_limit.svg")
    parts = ["# One launcher, many workers", machine, MEASURING, said, results.table(HEADER, rows)]
    PAGE.write_text(
        "\n\n".join([*parts, "![Trials per hour against workers](../docs/pictures/launcher_limit.svg)", NEXT]) + "\n"
    )


def rate(workers: int, together_s: float, worker_s: float) -> float:
    """Trials per hour: of a round, what all workers take together, and what the launcher takes for each."""
    return 3600 * workers * LANES / EPOCHS / (together_s + workers * worker_s)


def messages_s(kind: str) -> float:
    """CPU seconds of this process for a worker's epoch."""
    from sweep.config.trial import TrialConfig
    from sweep.executors.local.workers import LocalWorkers
    from sweep.executors.ray.cluster import LOCAL, WorkerResources, connected
    from sweep.executors.ray.workers import RayWorkers

    with connected(LOCAL) if kind == "ray" else nullcontext():
        made = RayWorkers(NUM_WORKERS, WorkerResources(0), {}) if kind == "ray" else LocalWorkers([{}] * NUM_WORKERS)
        with made as workers:
            workers.make("fake", LANES, 1)
            config = TrialConfig.from_values({"training": {"epochs": 10 * NUM_ROUNDS}}, "benchmark")
            for lane in range(workers.num_lanes):
                workers.start(lane, config)
            for _ in range(NUM_ROUNDS):
                workers.wait()
            began = time.process_time()
            for _ in range(NUM_ROUNDS):
                workers.wait()
            return (time.process_time() - began) / NUM_ROUNDS / NUM_WORKERS


def costs(num_trials: int) -> list[float]:
    """Of the launcher: seconds a trial, an epoch of a lane, a round, and what one takes more that asks for trials."""
    import numpy as np

    amounts, seconds = [], []
    for lanes, epochs in itertools.product(MEASURED_LANES, MEASURED_EPOCHS):
        runs = [_launcher_s(num_trials, lanes, epochs) for _ in range(3)]
        amounts.append([num_trials, num_trials * epochs, num_trials * epochs / lanes, num_trials / lanes])
        seconds.append(statistics.median(runs))
    return [float(cost) for cost in np.linalg.lstsq(np.array(amounts), np.array(seconds), rcond=None)[0]]


def _launcher_s(num_trials: int, lanes: int, epochs: int) -> float:
    with results.scratch_folder() as folder:
        flags = ["--engine", "fake", "--lanes", str(lanes), "--sampler", "tpe", "--set", f"training.epochs={epochs}"]
        sweep = ["run", str(SPACE_FILE), *flags, "--trials", str(num_trials), "--quiet", "--studies", folder]
        script = Path(__file__).with_name("coordination.py")
        return float(run_for_json([sys.executable, str(script), "--child", *sweep])["coordination"])


def digits_epoch_s() -> float:
    """The median epoch of 8 packed lanes on this machine's cores."""
    from equality import draw_configs

    from sweep.engines.devices import set_up_device
    from sweep.engines.packed.engine import PackedEngine

    threads = os.cpu_count() or 1
    set_up_device("cpu", threads, operation_threads=1)
    configs = draw_configs(SPACE_FILE, LANES, EPOCHS, seed=0)
    engine = PackedEngine(LANES, threads, widest=[*{config.model.lane_widths for config in configs}])
    for lane, config in enumerate(configs):
        engine.admit(lane, config)
    seconds = []
    for _ in range(EPOCHS):
        started = time.perf_counter()
        engine.train_epoch()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _half(values: Sequence[float], limit: float) -> str:
    reached = [workers for workers, value in zip(WORKERS, values, strict=True) if value >= limit / 2]
    return f"{reached[0]:,} workers" if reached else "more"


def draw(curves: dict[str, list[float]], limit: float, path: Path) -> None:
    """Write an SVG; says so and writes none where matplotlib is not installed."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture: matplotlib is not installed; pip install -e '.[bench]'", file=sys.stderr)
        return
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "launcher"}):  # small, and the same for the same rows
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        axes: Any = figure.subplots()
        for name, values in curves.items():
            axes.plot(WORKERS, values, marker="o", markersize=3, label=name)
        axes.axhline(limit, color="#888888", linestyle="--", label="the launcher's limit")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(f"workers of {LANES} lanes")
        axes.set_ylabel(f"trials of {EPOCHS} epochs per hour")
        axes.legend(frameon=False, title="epoch of a worker's lanes")
        figure.savefig(path, format="svg", metadata={"Date": None})


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=300, metavar="N", help="of each sweep (300)")
    parser.add_argument("--messages", choices=("local", "ray"), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
