"""Repeat the sweep's run of an exported config, and compare its score and training losses with the stored ones."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import isclose
from statistics import fmean

from sweep.config.file import Provenance
from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.engines.base import EpochRecord, run_values
from sweep.errors import InputError, SweepError
from sweep.executors.base import Executor
from sweep.executors.run_queue import QueuedRun, RunQueue
from sweep.space.runs import RunPlan

TOLERANCE = 1e-6  # results are bitwise equal on the same machine; others may need --tolerance
LOSS_TOLERANCE = 1e-4  # relative; an edited model differs by more, even where both scores are those of guessing


History = Sequence[EpochRecord]  # of one run


class ScoreMissed(SweepError):
    """The repeated run differs in score or losses: config, data, code or machine are not the sweep's."""

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
        tolerance: The largest accepted difference of the scores. Training losses may differ by the same number,
            and by at least 1e-4, relative to the stored loss.
        say: Called with each line for the user.

    Returns:
        Both scores.

    Raises:
        ScoreMissed: The score or a training loss differs by more than is accepted.
        SweepError: A run failed.

    """
    plan = RunPlan(provenance.repeats, provenance.cross_validation)
    with closing(executor):
        if plan.num_runs == 1:
            which = f"after epoch {provenance.best_epoch}"
            histories = [_repeat_epochs(config, provenance, executor)]
            repeated = _score_of_epoch(histories[0], provenance)
        else:
            histories = _repeat_runs(plan.runs(config)[: provenance.num_runs], executor)
            which, repeated = f"of {len(histories)} runs", _score_of_runs(histories, provenance)
    say(f"{provenance.metric} {which}: stored {provenance.score:.8f}, repeated {repeated:.8f}")
    if not abs(repeated - provenance.score) <= tolerance:
        raise _missed(provenance, f"the repeated score differs by more than {tolerance:g}")
    _check_losses(histories, provenance, tolerance)
    return Verification(provenance.metric, provenance.score, repeated)


def _check_losses(histories: Sequence[History], provenance: Provenance, tolerance: float) -> None:
    """Compare the training loss of each epoch; configs exported by older versions have none."""
    repeated = [record.logs["loss"] for history in histories for record in history if "loss" in record.logs]
    accepted = max(tolerance, LOSS_TOLERANCE)
    for number, (was, now) in enumerate(zip(provenance.losses, repeated, strict=False), start=1):
        if not isclose(was, now, rel_tol=accepted, abs_tol=accepted):
            raise _missed(
                provenance,
                f"the score is equal, but the training loss of epoch {number} is {now:.6g} instead of {was:.6g}",
            )


def _missed(provenance: Provenance, difference: str) -> ScoreMissed:
    return ScoreMissed(
        f"trial {provenance.trial} of {provenance.study}: {difference}; "
        "check that config, data, code, threads and versions are the sweep's"
    )


def _repeat_epochs(config: TrialConfig, provenance: Provenance, executor: Executor) -> History:
    """Return the records of as many epochs as the trial had, or of fewer if it ended early."""
    run = QueuedRun(1, "run 1", config, provenance.num_epochs)
    _train([run], executor)
    return run.history


def _score_of_epoch(history: History, provenance: Provenance) -> float:
    """Return the score at the recorded epoch; NaN if the run ended early."""
    if len(history) < provenance.num_epochs:
        return float("nan")
    return history[provenance.best_epoch - 1].score(provenance.metric)


def _repeat_runs(configs: Sequence[TrialConfig], executor: Executor) -> list[History]:
    """Return the records of each run."""
    runs = [QueuedRun(number, f"run {number}", config) for number, config in enumerate(configs, start=1)]
    _train(runs, executor)
    return [run.history for run in runs]


def _score_of_runs(histories: Sequence[History], provenance: Provenance) -> float:
    """Return the mean score, or the last one of a pruned trial, as the sweep did."""
    scores = [run_values(history, [provenance.metric])[0] for history in histories]
    return fmean(scores) if provenance.state == "COMPLETE" else scores[-1]


def _train(runs: Sequence[QueuedRun[int]], executor: Executor) -> None:
    for changed in RunQueue(executor, runs, max_lanes=1).rounds():
        for run in changed:
            run.raise_if_lost()
