"""What the number of lanes costs and gives: whole sweeps of a work with K lanes each, to their end or for so long.

    SWEEP_DATA=DIR python benchmarks/auto_lanes.py --work digits --trials 64 --lanes 2 4 8
    SWEEP_DATA=DIR python benchmarks/auto_lanes.py --work mnist --trials 500 --lanes 2 8 --seeds 1 2 --limit 100 \
        --pruner hyperband --set training.epochs=8

Each row is a `sweep run` of its own in a fresh folder, from start to exit, or interrupted after `--limit` seconds.
First score: when the first epoch of any trial stood in the database. Best: of all epochs, pruned trials too.
"""

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import results

POLL_S = 0.1
HEADER = (
    "work", "lanes", "seed", "process s", "CPU s", "first score s", "ended", "pruned", "epochs", "best val_accuracy"
)  # fmt: skip
QUERIES = {
    "ended": "SELECT count(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED')",
    "pruned": "SELECT count(*) FROM trials WHERE state = 'PRUNED'",
    "epochs": "SELECT count(*) FROM trial_intermediate_values",
    "best": "SELECT max(intermediate_value) FROM trial_intermediate_values",
}


def main() -> None:
    """Run each combination, append a table."""
    options = _parse_arguments()
    machine, rows = results.describe_machine(), []
    for seed in options.seeds:
        for num_lanes in options.lanes:
            with results.scratch_folder() as folder:
                rows.append(measure(num_lanes, seed, Path(folder), options))
            print(results.table(HEADER, rows[-1:]), file=sys.stderr, flush=True)
    flags = " ".join(sys.argv[1:])
    results.append(options.out, "Lanes of whole sweeps", machine, results.table(HEADER, rows), f"`{flags}`")


def measure(num_lanes: int, seed: int, folder: Path, options: argparse.Namespace) -> list[object]:
    """One sweep; one row."""
    command = [
        *(
            sys.executable,
            "-m",
            "sweep.cli",
            "run",
            str(results.ROOT / "benchmarks" / "spaces" / f"{options.work}.toml"),
        ),
        *("--engine", "packed", "--lanes", str(num_lanes), "--threads", str(options.threads), "--seed", str(seed)),
        *("--trials", str(options.trials), "--studies", str(folder), "--device", "cpu", "--quiet"),
        *(word for override in options.overrides for word in ("--set", override)),
        *(("--pruner", options.pruner) if options.pruner else ()),
    ]
    started, first_s, is_told = time.perf_counter(), None, False
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        pid, _, usage = os.wait4(process.pid, os.WNOHANG)
        taken_s = time.perf_counter() - started
        if pid:
            break
        if first_s is None and asked(folder, "epochs"):
            first_s = taken_s
        if options.limit and taken_s > options.limit and not is_told:
            process.send_signal(signal.SIGINT)
            is_told = True
        time.sleep(POLL_S)
    process.returncode = 0
    counts = [asked(folder, name) for name in QUERIES]
    cpu_s = usage.ru_utime + usage.ru_stime
    return [options.work, num_lanes, seed, taken_s, cpu_s, first_s or "-", *counts[:3], f"{counts[3]:.4f}"]


def asked(folder: Path, name: str) -> float:
    """One number of the study; 0 while there is none."""
    path = folder / "sweep.db"
    if not path.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(QUERIES[name]).fetchone()[0] or 0  # type: ignore[no-any-return]
    except sqlite3.OperationalError:  # not yet made
        return 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", choices=("digits", "mnist"), default="digits")
    parser.add_argument("--lanes", type=int, nargs="+", default=[2, 4, 8], metavar="K", help="(2 4 8)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N", help="of the studies (0)")
    parser.add_argument("--trials", type=int, default=64, metavar="N", help="(64)")
    parser.add_argument("--limit", type=float, metavar="S", help="interrupt after so many seconds")
    parser.add_argument("--pruner", metavar="NAME", help="(the work's)")
    parser.add_argument(
        "--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE", help="(the work's)"
    )
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="(all cores)")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
