"""Whether packed lanes reach the score of the sequential engine: the same configs trained in full by both.

    python benchmarks/equality.py [--pairs 200]
    python benchmarks/equality.py --space benchmarks/spaces/digits_weighted.toml --pairs 20   # class weights, F1

Configs are drawn from the space file by plain random search, each with a seed of its own. Both engines train them in
this process, in float32, an operation on one thread; the packed engine on 8 lanes. They start from the same weights and
see the same minibatches; float32's rounding then leads them apart. Of the final scores (the metric of
the space file, times 100), in points:

    d = packed - sequential of each pair;   interval = mean(d) +- t(0.975, n - 1) * s(d) / sqrt(n)

The exit code is 0 if the interval contains zero and is narrower than +-0.2 points, or if pairs are too few to tell.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import results
from results import ROOT

NUM_LANES = 8
HALF_WIDTH = 0.2  # points
FEWEST_PAIRS = 200
HEADER = (
    "configs",
    "pairs",
    "exactly equal",
    "mean difference",
    "95% interval",
    "largest difference",
    "scores",
    "seconds a trial",
)


@dataclass(frozen=True)
class Comparison:
    """Final scores in percent, of each engine in the order of the configs."""

    packed: Sequence[float]
    sequential: Sequence[float]

    @property
    def differences(self) -> list[float]:
        """packed - sequential, in points."""
        return [ours - theirs for ours, theirs in zip(self.packed, self.sequential, strict=True)]

    @property
    def mean(self) -> float:
        """Of the differences."""
        return sum(self.differences) / len(self.differences)

    @property
    def half_width(self) -> float:
        """Of the 95% interval of the mean difference, by Student's t."""
        from scipy.stats import sem, t

        number = len(self.differences)
        return float(t.ppf(0.975, number - 1) * sem(self.differences))

    def is_equal(self) -> bool:
        """Whether the interval contains zero and is narrow enough."""
        return abs(self.mean) <= self.half_width < HALF_WIDTH or not any(self.differences)


def main() -> int:
    """Train all pairs by both engines, append a table."""
    options = _parse_arguments()
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from sweep.engines.devices import set_up_device
    from sweep.space.file import load_space

    machine = results.describe_machine()
    device = set_up_device("cpu", os.cpu_count() or 1, operation_threads=1)
    configs = draw_configs(options.space, options.pairs, options.epochs, options.seed)
    metric = load_space(options.space).metrics[0]
    started = time.perf_counter()
    packed = train_packed(configs, metric)
    between = time.perf_counter()
    comparison = Comparison(packed, train_sequentially(configs, metric))
    seconds = [(stop - start) / len(configs) for start, stop in ((started, between), (between, time.perf_counter()))]
    title = f"Packed against sequential engine, {options.pairs} pairs on {device.keras_backend}"
    results.append(
        options.out, title, machine, results.table(HEADER, [row(comparison, configs, seconds)]), describe(options)
    )
    return 0 if comparison.is_equal() or options.pairs < FEWEST_PAIRS else 1


def draw_configs(path: Path, number: int, epochs: int | None, seed: int) -> list[Any]:
    """Random configs of a space file, trial by trial as `sweep run` would draw them with a random sampler."""
    import optuna

    from sweep.space.file import load_space
    from sweep.space.runs import derived_seed

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = load_space(path, [f"training.epochs={epochs}"] if epochs else [])
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    return [space.resolve(space.suggest(study.ask()), derived_seed(seed, index)) for index in range(number)]


def train_packed(configs: Sequence[Any], metric: str) -> list[float]:
    """Final scores in percent, through lanes that are refilled as they end."""
    from sweep.engines.packed.engine import PackedEngine

    engine = PackedEngine(NUM_LANES, os.cpu_count() or 1, widest=[*{c.model.lane_widths for c in configs}])
    scores, running = [0.0] * len(configs), {}
    waiting = list(range(len(configs)))
    while waiting or running:
        for lane in range(NUM_LANES):
            if waiting and lane not in running:
                running[lane] = waiting.pop(0)
                engine.admit(lane, configs[running[lane]])
        for lane, outcome in engine.train_epoch().items():
            if isinstance(outcome, Exception):
                raise outcome
            if outcome.is_last:
                scores[running.pop(lane)] = 100 * float(outcome.logs[metric])
                engine.evict(lane)
    return scores


def train_sequentially(configs: Sequence[Any], metric: str) -> list[float]:
    """The same by the sequential engine, one after the other."""
    from sweep.engines.sequential import SequentialEngine

    engine, scores = SequentialEngine(), []
    for number, config in enumerate(configs):
        engine.admit(0, config)
        metrics = None
        while outcomes := engine.train_epoch():
            metrics = outcomes[0]
        engine.evict(0)
        assert metrics is not None
        scores.append(100 * float(metrics.logs[metric]))
        print(f"sequential: {number + 1} of {len(configs)}", file=sys.stderr, flush=True)
    return scores


def row(comparison: Comparison, configs: Sequence[Any], seconds: Sequence[float]) -> list[object]:
    """Of the table."""
    differences, mean, half_width = comparison.differences, comparison.mean, comparison.half_width
    data, epochs = configs[0].data.name, configs[0].training.epochs
    return [
        f"{data}, {epochs} epochs",
        len(differences),
        sum(difference == 0 for difference in differences),
        f"{mean:+.3f} points",
        f"{mean - half_width:+.3f} to {mean + half_width:+.3f} points",
        f"{max(map(abs, differences)):.2f} points",
        f"{sum(comparison.packed) / len(differences):.2f}%, {sum(comparison.sequential) / len(differences):.2f}%",
        ", ".join(f"{one:.2f}" for one in seconds),
    ]


def describe(options: argparse.Namespace) -> str:
    """What stands under the table."""
    return (
        f"Random configs of {options.space.name} with seed {options.seed}, each trained by both engines in one process "
        f"(float32, one thread an operation, {NUM_LANES} lanes). Differences are packed - sequential of the final "
        "score; the interval is Student's, of the mean; means of scores and seconds of a trial: packed first."
    )


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=FEWEST_PAIRS, metavar="N", help=f"({FEWEST_PAIRS})")
    parser.add_argument("--space", type=Path, default=ROOT / "search_spaces" / "cnn_digits.toml", metavar="FILE")
    parser.add_argument("--epochs", type=int, metavar="N", help="instead of the space file's")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the configs (0)")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
