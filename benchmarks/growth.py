"""How a worker's memory grows with the trials it has trained.

    python benchmarks/growth.py [--trials 200]

One worker trains random configs of cnn_digits.toml for two epochs each, one after another; its resident memory is read
after each trial. The exit code is 1 if it grows by 10 % or more after the first 20 trials.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import results
from equality import draw_configs
from processes import resident_mb
from results import ROOT

FIRST = 20  # trials: imports, compiled programs and the allocator's arenas are there by then
MOST_GROWTH = 0.10
EPOCHS = 2
HEADER = ("engine", "lanes", "trials", f"MB after {FIRST}", "MB after all", "growth")


def main() -> int:
    """A row for each engine."""
    options = _parse_arguments()
    machine = results.describe_machine()
    rows, growths = [], []
    for engine, num_lanes in (("packed", 4), ("sequential", 1)):
        memory_mb = [*memory_after_trials(engine, num_lanes, options.trials)]
        growths.append(memory_mb[-1] / memory_mb[FIRST] - 1)
        shown = f"{growths[-1]:+.1%}"
        rows.append((engine, num_lanes, len(memory_mb), f"{memory_mb[FIRST]:.0f}", f"{memory_mb[-1]:.0f}", shown))
    results.append(options.out, "Memory of a worker", machine, results.table(HEADER, rows))
    return int(max(growths) >= MOST_GROWTH)


def memory_after_trials(engine: str, num_lanes: int, num_trials: int) -> Iterator[float]:
    """Resident memory of the worker in MB, after each trial."""
    from sweep.executors.base import EpochDone
    from sweep.executors.local.workers import LocalWorkers

    configs = draw_configs(ROOT / "search_spaces" / "cnn_digits.toml", num_trials, EPOCHS, seed=0)
    with LocalWorkers([{}]) as workers:
        workers.set_up("cpu", 2, operation_threads=1 if engine == "packed" else 2)
        workers.make(engine, num_lanes, 2)
        waiting, running = [*configs], 0
        free = [*range(num_lanes)]
        while waiting or running:
            while free and waiting:
                workers.start(free.pop(), waiting.pop())
                running += 1
            for event in workers.wait():
                assert isinstance(event, EpochDone), event
                if event.metrics.is_last:
                    workers.stop(event.lane)
                    free.append(event.lane)
                    running -= 1
                    yield resident_mb(workers.pids[0])


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200, metavar="N", help="(200)")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
