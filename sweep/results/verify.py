"""Repeat the sweep's run of an exported config, and compare its score with the stored one."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import fmean

from sweep.config.file import Provenance
from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.engines.base import run_values
from sweep.errors import InputError, SweepError
from sweep.executors.base import Executor
from sweep.executors.run_queue import QueuedRun, RunQueue
from sweep.space.runs import RunPlan

TOLERANCE = 1e-6  # results are bitwise equal on the same machine; others may need --tolerance


class ScoreMissed(SweepError):
    """The repeated run has another score: the config, the data or the machine differs from the sweep's."""

    exit_code = 1


@dataclass(frozen=True)
class Verification:
    """The stored and the repeated score of a metric.

    Attributes:
        metric: The name of the metric.
        stored: The score in the sweep.
        repeated: The score of the repeated run.
    """

    metric: str
    stored: float
    repeated: float


def check_recorded(config: TrialConfig, provenance: Provenance, keras_backend: str) -> None:
    """Check that the recorded run can be repeated here.

    Args:
        config: The config.
        provenance: Where the config came from.
        keras_backend: The Keras backend in use.

    Raises:
        InputError: The Keras backend or the data differ from the sweep's.
    """
    if keras_backend != provenance.keras_backend:
        recorded = provenance.keras_backend
        raise InputError(
            f"recorded with the Keras backend {recorded}, now it is {keras_backend}; set KERAS_BACKEND={recorded}"
        )
    if load(config.data).content_hash not in provenance.data_hash.split("+"):
        raise InputError("the data differ from the sweep's (another hash); correct data.path or SWEEP_DATA")


def verify(
    config: TrialConfig,
    provenance: Provenance,
    executor: Executor,
    tolerance: float,
    say: Callable[[str], None] = print,
) -> Verification:
    """Repeat the recorded epochs and runs of a trial, one run at a time, and compare the scores.

    Args:
        config: The config.
        provenance: Where the config came from: study, trial, score, and how it was trained.
        executor: Trains the runs; it is closed at the end.
        tolerance: The largest difference of the scores that is accepted.
        say: Called with each line for the user.

    Returns:
        Both scores.

    Raises:
        ScoreMissed: The score differs by more than `tolerance`.
        SweepError: A run failed.

    """
    plan = RunPlan(provenance.repeats, provenance.cross_validation)
    with closing(executor):
        if plan.num_runs == 1:
            which, repeated = f"after epoch {provenance.best_epoch}", _repeat_epochs(config, provenance, executor)
        else:
            runs = plan.runs(config)[: provenance.num_runs]
            scores = _repeat_runs(runs, provenance.metric, executor)
            which, repeated = f"of {len(runs)} runs", fmean(scores) if provenance.state == "COMPLETE" else scores[-1]
    say(f"{provenance.metric} {which}: stored {provenance.score:.8f}, repeated {repeated:.8f}")
    if not abs(repeated - provenance.score) <= tolerance:
        raise ScoreMissed(
            f"trial {provenance.trial} of {provenance.study}: the repeated score differs by more than {tolerance:g}; "
            "check that config, data, code, threads and versions are the sweep's"
        )
    return Verification(provenance.metric, provenance.score, repeated)


def _repeat_epochs(config: TrialConfig, provenance: Provenance, executor: Executor) -> float:
    """Return the score at the recorded epoch, training as many epochs as the trial had; NaN if it ended early."""
    run = QueuedRun(1, "run 1", config, provenance.num_epochs)
    _train([run], executor)
    if len(run.history) < provenance.num_epochs:
        return float("nan")
    return run.history[provenance.best_epoch - 1].score(provenance.metric)


def _repeat_runs(configs: Sequence[TrialConfig], metric: str, executor: Executor) -> list[float]:
    """Return the score of each run."""
    runs = [QueuedRun(number, f"run {number}", config) for number, config in enumerate(configs, start=1)]
    _train(runs, executor)
    return [run_values(run.history, [metric])[0] for run in runs]


def _train(runs: Sequence[QueuedRun[int]], executor: Executor) -> None:
    for changed in RunQueue(executor, runs, at_once=1).rounds():
        for run in changed:
            run.raise_if_lost()
