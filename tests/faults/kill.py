"""kill -9 of `sweep run` at random moments, the same command again, and the study compared with an unbroken one.

    python tests/faults/kill.py --engine sequential --kills 10 --trials 40
    python tests/faults/kill.py --engine packed --kills 10 --trials 200
    python tests/faults/kill.py --engine function --space tests/faults/killed_loop.toml

The command itself, with engines that train; `kill_sweep` kills the fake engine by the hundred, in every window.
Prints a line for each kill and ends with exit code 0 only if the studies are equal.
"""

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from sweeps import read_trials  # noqa: E402


def main() -> int:
    """Run both studies, compare, say what was found."""
    options = _parse_options()
    folder = Path(tempfile.mkdtemp())
    command = [
        sys.executable,
        "-m",
        "sweep.cli",
        "run",
        str(options.space),
        "--study",
        "study",
    ]
    command += [] if options.engine == "function" else ["--engine", options.engine]
    command += ["--trials", str(options.trials), "--quiet"]
    started = time.monotonic()
    subprocess.run([*command, "--studies", str(folder / "unbroken")], check=True)
    alone_s = time.monotonic() - started
    num_kills = run_with_kills(
        [*command, "--studies", str(folder / "killed")], folder / "killed", options.kills, alone_s
    )
    unbroken, killed = (read_trials(folder / name) for name in ("unbroken", "killed"))
    different = [ours["number"] for ours, theirs in zip(killed, unbroken, strict=False) if ours != theirs]
    is_equal = not different and len(killed) == len(unbroken)
    print(json.dumps({"kills": num_kills, "trials": len(killed), "equal": is_equal, "different": different}))
    return 0 if is_equal else 1


def run_with_kills(command: list[str], folder: Path, num_kills: int, alone_s: float, seed: int = 0) -> int:
    """Kill so many times, each at a random moment soon after the process has begun to train; then let it end."""
    chooser = random.Random(seed)
    for kill in range(num_kills):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        before = _last_change(folder)
        while process.poll() is None and (_last_change(folder) == before or not _has_trials(folder)):
            time.sleep(0.02)  # still importing; moments then would all be the same
        try:
            process.wait(timeout=chooser.uniform(0, alone_s / (2 * num_kills + 2)))
            return kill  # it ended before its moment came
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            trials = read_trials(folder)
            running = [
                (trial["number"], len(trial["intermediate_values"])) for trial in trials if trial["state"] == "RUNNING"
            ]
            print(f"kill {kill + 1}: {len(trials)} trials, running (number, stored epochs): {running}", flush=True)
    subprocess.run(command, check=True)
    return num_kills


def _last_change(folder: Path) -> int:
    log = folder / "sweep.db-wal"
    try:
        return log.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _has_trials(folder: Path) -> bool:
    """Whether the study has begun; a database is there before Keras is imported."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'sweep.db'}?mode=ro", uri=True)) as database:
            return bool(database.execute("select count(*) from trials").fetchone()[0])
    except sqlite3.OperationalError:
        return False


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", type=Path, default=ROOT / "search_spaces" / "cnn_digits.toml")
    parser.add_argument("--engine", default="fake")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--trials", type=int, default=40)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
