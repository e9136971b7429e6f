"""Repeat the sweep's own run of an exported config, and compare with the score that was stored."""

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

TOLERANCE = 1e-6  # the same machine gives the same bits; another processor or version may need --tolerance


class ScoreMissed(SweepError):
    """The repeated run scored something else: the config, the data or the machine is not what it was."""

    exit_code = 1


@dataclass(frozen=True)
class Verification:
    """What was stored, what came out."""

    metric: str
    stored: float
    repeated: float


def check_recorded(config: TrialConfig, provenance: Provenance, keras_backend: str) -> None:
    """InputError if the recorded run cannot be repeated here: other Keras backend or data."""
    if keras_backend != provenance.keras_backend:
        recorded = provenance.keras_backend
        raise InputError(f"recorded on Keras's {recorded}, here it is {keras_backend}; set KERAS_BACKEND={recorded}")
    if load(config.data).content_hash not in provenance.data_hash.split("+"):
        raise InputError("the data is not what the sweep saw (its hash differs); correct data.path or SWEEP_DATA")


def verify(
    config: TrialConfig,
    provenance: Provenance,
    executor: Executor,
    tolerance: float,
    say: Callable[[str], None] = print,
) -> Verification:
    """Train as recorded, as many epochs and runs as the trial had, one run at a time.

    Raises:
        ScoreMissed: The score differs by more than `tolerance`.
        SweepError: A run failed.

    """
    plan = RunPlan(provenance.repeats, provenance.cross_validation)
    with closing(executor):
        if plan.num_runs == 1:
            what, repeated = f"after epoch {provenance.best_epoch}", _repeat_epochs(config, provenance, executor)
        else:
            runs = plan.runs(config)[: provenance.num_runs]
            scores = _repeat_runs(runs, provenance.metric, executor)
            what, repeated = f"of {len(runs)} runs", fmean(scores) if provenance.state == "COMPLETE" else scores[-1]
    say(f"{provenance.metric} {what}: stored {provenance.score:.8f}, repeated {repeated:.8f}")
    if not abs(repeated - provenance.score) <= tolerance:
        raise ScoreMissed(
            f"trial {provenance.trial} of {provenance.study}: the stored score is missed by more than {tolerance:g}; "
            "config, data, code, threads or versions differ from the sweep's"
        )
    return Verification(provenance.metric, provenance.score, repeated)


def _repeat_epochs(config: TrialConfig, provenance: Provenance, executor: Executor) -> float:
    """The score after the epochs of a trial that may have been pruned."""
    run = QueuedRun(1, "run 1", config, provenance.num_epochs)
    _train([run], executor)
    if len(run.history) < provenance.num_epochs:
        return float("nan")
    return run.history[provenance.best_epoch - 1].score(provenance.metric)


def _repeat_runs(configs: Sequence[TrialConfig], metric: str, executor: Executor) -> list[float]:
    """The score of each whole run."""
    runs = [QueuedRun(number, f"run {number}", config) for number, config in enumerate(configs, start=1)]
    _train(runs, executor)
    return [run_values(run.history, [metric])[0] for run in runs]


def _train(runs: Sequence[QueuedRun[int]], executor: Executor) -> None:
    for changed in RunQueue(executor, runs, at_once=1).rounds():
        for run in changed:
            run.raise_if_lost()
