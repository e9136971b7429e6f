"""What asking, reporting and telling take of a sweep's wall time, and admitting trials to their lanes.

    python benchmarks/coordination.py [--space benchmarks/spaces/digits.toml] [--trials 64] [--repeats 3]

Runs `sweep run` in a process of its own with an executor that looks at the clock. Wall time of the tuner, from its
first ask to its last tell, is what trains (`wait`), what admits (`start`: initial weights), and the rest: coordination.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import results
from processes import run_for_json

HEADER = ("space", "trials", "tuner s", "training", "admitting", "coordination", "ms a trial")


def main() -> None:
    """Measure so many runs, append the one whose coordination takes the median share."""
    options = _parse_arguments()
    machine = results.describe_machine()
    runs = sorted(
        (measure(options) for _ in range(options.repeats)), key=lambda run: run["coordination"] / run["tuner"]
    )
    run = runs[len(runs) // 2]
    shares = [f"{run[part] / run['tuner']:.1%}" for part in ("training", "admitting", "coordination")]
    row = [options.space.stem, options.trials, run["tuner"], *shares, 1000 * run["coordination"] / options.trials]
    title = f"Coordination, the median of {options.repeats} runs"
    results.append(options.out, title, machine, results.table(HEADER, [row]), (__doc__ or "").split("\n\n")[-1].strip())


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Seconds of one run in a fresh process and folder."""
    with results.scratch_folder() as folder:
        sweep = ["run", str(options.space), "--trials", str(options.trials), "--quiet", "--studies", folder]
        command = [sys.executable, __file__, "--child", *sweep]
        return dict(run_for_json(command))


def run_here(arguments: list[str]) -> None:
    """The child: `sweep run` with the clock in its executor."""
    import sweep.tuning.session
    from sweep.cli.parser import main as sweep_main
    from sweep.executors.in_process import InProcessExecutor

    seconds = {"training": 0.0, "admitting": 0.0, "tuner": 0.0}

    class TimedExecutor(InProcessExecutor):
        def __init__(self, engine: Any, trial_timeout_s: float | None = None) -> None:
            super().__init__(engine, trial_timeout_s)
            self.began = time.perf_counter()

        def start(self, lane: int, config: Any, **options: bool) -> None:
            began = time.perf_counter()
            super().start(lane, config, **options)
            seconds["admitting"] += time.perf_counter() - began

        def wait(self) -> Any:
            began = time.perf_counter()
            events = super().wait()
            seconds["training"] += time.perf_counter() - began
            return events

        def close(self) -> None:
            super().close()
            seconds["tuner"] = time.perf_counter() - self.began

    sweep.tuning.session.InProcessExecutor = TimedExecutor  # type: ignore[misc]
    assert sweep_main(arguments) == 0
    seconds["coordination"] = seconds["tuner"] - seconds["training"] - seconds["admitting"]
    print(json.dumps(seconds))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--space", type=Path, default=results.ROOT / "benchmarks" / "spaces" / "digits.toml")
    parser.add_argument("--trials", type=int, default=64, metavar="N")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="runs (3)")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    return parser.parse_args()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        run_here(sys.argv[2:])
    else:
        main()
