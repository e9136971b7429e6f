"""Wall time of one sweep in this process, in local workers, and in the actors of a local Ray.

    python benchmarks/workers.py [--trials 200] [--repeats 3]

`sweep run search_spaces/cnn_digits.toml` with the random sampler and without a pruner, so that all train the same, as a
whole process: imports, start of the workers or of Ray, training and storage.
"""

import argparse
import statistics
import sys
from pathlib import Path

import results
from processes import run_measured

SPACE = results.ROOT / "search_spaces" / "cnn_digits.toml"
WAYS: dict[str, tuple[str, ...]] = {
    "in this process": (),
    "1 local worker": ("--workers", "1"),
    "2 local workers": ("--workers", "2"),
    "local Ray, 2 actors": ("--ray", "--num-workers", "2"),
}
HEADER = ("where", "process s", "of each run", "s/trial", "against this process, of each round", "median ratio")


def main() -> None:
    """In turn, so many rounds."""
    options = _parse_arguments()
    machine = results.describe_machine(more_packages=("ray",))
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.repeats):
        for way, flags in WAYS.items():
            seconds[way].append(_run(options.trials, flags))
            print(f"{way}: {seconds[way][-1]:.1f} s", file=sys.stderr, flush=True)
    plain = seconds["in this process"]
    rows = [_row(way, taken, plain, options.trials) for way, taken in seconds.items()]
    title = f"Workers: {options.trials} trials of digits, {options.repeats} rounds"
    results.append(options.out, title, machine, results.table(HEADER, rows), (__doc__ or "").split("\n\n")[-1].strip())


def _run(num_trials: int, flags: tuple[str, ...]) -> float:
    with results.scratch_folder() as folder:
        sweep = ["run", str(SPACE), "--trials", str(num_trials), "--sampler", "random", "--pruner", "none", "--quiet"]
        return run_measured([sys.executable, "-m", "sweep.cli", *sweep, "--studies", folder, *flags]).wall_s


def _row(way: str, taken: list[float], plain: list[float], num_trials: int) -> list[object]:
    ratios = [one / other for one, other in zip(taken, plain, strict=True)]
    median = statistics.median(taken)
    return [
        *(way, median, ", ".join(f"{one:.1f}" for one in taken), median / num_trials),
        *(", ".join(f"{ratio:.2f}" for ratio in ratios), statistics.median(ratios)),
    ]


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=200, metavar="N", help="(200)")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="rounds (3)")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
