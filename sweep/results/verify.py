"""Repeat the sweep's own run of an exported config, and compare with the score that was stored."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from sweep.config.file import Provenance
from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.engines.base import Engine, RunMetrics, metrics_of, run_values
from sweep.errors import InputError, SweepError
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
    config: TrialConfig, provenance: Provenance, engine: Engine, tolerance: float, say: Callable[[str], None] = print
) -> Verification:
    """Train as recorded, as many epochs and runs as the trial had.

    ScoreMissed if the score differs by more than `tolerance`.
    """
    plan = RunPlan(provenance.repeats, provenance.cross_validation)
    if plan.num_runs == 1:
        what, repeated = f"after epoch {provenance.best_epoch}", _repeat_epochs(config, provenance, engine)
    else:
        runs = plan.runs(config)[: provenance.num_runs]
        scores = [_repeat_run(run, provenance.metric, engine) for run in runs]
        what, repeated = f"of {len(runs)} runs", fmean(scores) if provenance.state == "COMPLETE" else scores[-1]
    say(f"{provenance.metric} {what}: stored {provenance.score:.8f}, repeated {repeated:.8f}")
    if not abs(repeated - provenance.score) <= tolerance:
        raise ScoreMissed(
            f"trial {provenance.trial} of {provenance.study}: the stored score is missed by more than {tolerance:g}; "
            "config, data, code, threads or versions differ from the sweep's"
        )
    return Verification(provenance.metric, provenance.score, repeated)


def _repeat_epochs(config: TrialConfig, provenance: Provenance, engine: Engine) -> float:
    """The score after the epochs of a trial that may have been pruned."""
    history = _train(config, engine, provenance.num_epochs)
    if len(history) < provenance.num_epochs:
        return float("nan")
    return history[provenance.best_epoch - 1].score(provenance.metric)


def _repeat_run(config: TrialConfig, metric: str, engine: Engine) -> float:
    """The score of a whole run."""
    history = _train(config, engine, config.training.epochs)
    return run_values(history, [metric])[0]


def _train(config: TrialConfig, engine: Engine, num_epochs: int) -> list[RunMetrics]:
    engine.admit(0, config)
    history: list[RunMetrics] = []
    while len(history) < num_epochs and (outcomes := engine.train_epoch()):
        history.append(metrics_of(0, outcomes))
    engine.evict(0)
    return history
