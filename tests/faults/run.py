"""Inject every fault, and write the table of counts and violations.

    python tests/faults/run.py                         # all of it, with the counts of the table
    python tests/faults/run.py --only flip --count 50  # faults with this word in their name, 50 times each

The seed is in the table: the same command with it repeats a run. Exit code 1 if anything was violated.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from faults.fault import Fault, all_faults, inject  # noqa: E402

COLUMNS = "| fault | injected | holds | violations | seed | minutes |\n| --- | --- | --- | --- | --- | --- |"


def main() -> int:
    """One line for each fault as it ends, and a row of the table in the results file."""
    options = _parse_options()
    chosen = [fault for fault in all_faults() if any(word in fault.name for word in options.only or [""])]
    num_violations = 0
    _append(options.out, _heading())
    for fault in chosen:
        reason = fault.missing()
        if reason is not None:
            print(f"{fault.name}: not injected: {reason}", flush=True)
            continue
        row, violations = _inject(fault, options.count or fault.count, options.seed)
        _append(options.out, row)
        num_violations += len(violations)
    return int(num_violations > 0)


def _inject(fault: Fault, count: int, seed: int) -> tuple[str, list[str]]:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        violations = inject(fault, count, seed, Path(folder))
    minutes = (time.monotonic() - started) / 60
    print(f"{fault.name}: {count} injected, {len(violations)} violations, {minutes:.1f} minutes", flush=True)
    for violation in violations[:20]:
        print(f"  {violation}", flush=True)
    return f"| {fault.name} | {count} | {fault.holds} | {len(violations)} | {seed} | {minutes:.1f} |", violations


def _heading() -> str:
    host = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    return f"\n## Faults, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {host}\n\n{COLUMNS}"


def _append(path: Path | None, line: str) -> None:
    if path is not None:
        with path.open("a") as file:
            file.write(line + "\n")


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="WORD", help="faults with one of these words in their name")
    parser.add_argument("--count", type=int, metavar="N", help="instead of the table's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, metavar="FILE", help="results file to append the table to")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
