"""The source articles' experiments that are spaces, against the figures in the articles.

    SWEEP_DATA=DIR python benchmarks/spaces.py [NAME ...]

Runs the command in the first line of search_spaces/NAME.toml (all of `NAMES`), in a process of its own. Appends a table
of the trials, and writes each file's line `# Ours:`.
"""

import argparse
import math
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import results
from results import ROOT, SOURCE

FOLDER = ROOT / "search_spaces"
NAMES = (
    "mlp_batch_size",
    "mlp_initializers",
    "mlp_rate_momentum_epochs",
    "restarts",
    "beale",
    "cnn_digits",
    "cnn_mnist",
)
FEW = 10  # trials whose values are all named in the file's line


def main() -> int:
    """A table for each space, as it ends."""
    options = _parse_arguments()
    for name in options.names or NAMES:
        file, machine = FOLDER / f"{name}.toml", results.describe_machine()
        with results.scratch_folder() as scratch:
            minutes = _run(file, Path(scratch))
            study = _read(file, Path(scratch))
        took = f"{minutes:.1f} minutes" if minutes >= 1 else f"{60 * minutes:.0f} s"
        sentence = f"{_summary(study)}; {len(study.trials)} trials in {took}"
        if len(study.trials) <= 50:
            rows = results.table(_header(study), _rows(study))
        else:
            rows = f"Of {len(study.trials)} trials."
        source = f"The source's figure: {results.read_line(file, SOURCE)}"
        results.append(options.out, f"Space {name}", machine, source, f"Ours: {sentence}.", rows)
        results.write_ours(file, sentence)
    return 0


def _run(file: Path, folder: Path) -> float:
    """Minutes of the whole process."""
    arguments = shlex.split(file.read_text().splitlines()[0].removeprefix("# sweep "))
    command = [sys.executable, "-m", "sweep.cli", *arguments, "--studies", str(folder)]
    started = time.monotonic()
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    return (time.monotonic() - started) / 60


def _read(file: Path, folder: Path) -> Any:
    from sweep.space.file import load_space
    from sweep.storage import database_url, read_study

    return read_study(database_url(folder), load_space(file).study.name)


def _header(study: Any) -> list[str]:
    return ["trial", *_param_names(study), *_metrics(study), "state"]


def _rows(study: Any) -> list[list[object]]:
    return [
        [
            *(trial.number, *(_short(trial.params.get(name, "")) for name in _param_names(study))),
            *(*(f"{value:.5f}" for value in trial.values or ()), trial.state.name),
        ]
        for trial in study.trials
    ]


def _param_names(study: Any) -> list[str]:
    """Of all trials: some params are conditional."""
    return [*dict.fromkeys(name for trial in study.trials for name in trial.params)]


def _metrics(study: Any) -> list[str]:
    from sweep.pareto import metric_names

    return metric_names(study.user_attrs, len(study.directions))


def _summary(study: Any) -> str:
    """Every trial where they are few; else the best one and all as a distribution."""
    metrics = _metrics(study)
    if len(study.trials) <= FEW:
        return ", ".join(f"{_params(trial)} {_values(metrics, trial)}" for trial in study.trials)
    best = f"best {_values(metrics, study.best_trial)} with {_params(study.best_trial)}"
    values = [trial.value for trial in study.trials if trial.state.name == "COMPLETE"]
    if metrics == ["value"]:
        return best
    which = "all" if len(values) == len(study.trials) else f"{len(values)} COMPLETE"
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    return f"{best}; {which} {mean:.4f} +- {deviation:.4f}, {min(values):.4f} to {max(values):.4f}{_parts(study)}"


def _parts(study: Any) -> str:
    """Of restarts: the standard deviation of initial weights' means, and within one of them."""
    if "weights_seed" not in study.trials[0].params:
        return ""
    groups: dict[int, list[float]] = {}
    for trial in study.trials:
        groups.setdefault(trial.params["weights_seed"], []).append(trial.value)
    between = statistics.stdev(statistics.mean(group) for group in groups.values())
    within = math.sqrt(statistics.mean(statistics.variance(group) for group in groups.values()))
    return f"; standard deviation of the means of equal weights {between:.4f}, within equal weights {within:.4f}"


def _params(trial: Any) -> str:
    return ", ".join(
        _short(value) if len(trial.params) == 1 else f"{name} {_short(value)}" for name, value in trial.params.items()
    )


def _values(metrics: Sequence[str], trial: Any) -> str:
    from sweep.pareto import shown

    if len(metrics) == 1:
        return shown(trial.values[0])
    return " ".join(f"{metric} {shown(value)}" for metric, value in zip(metrics, trial.values or (), strict=False))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of spaces (all)")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
