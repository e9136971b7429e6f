"""Repeat the sweep's own run of an exported config, and compare with the score that was stored."""

from collections.abc import Callable
from dataclasses import dataclass

from sweep.config import TrialConfig
from sweep.config_file import Provenance
from sweep.datasets import load
from sweep.engines.base import Engine, metrics_of
from sweep.errors import InputError, SweepError

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
    """Train as recorded, as many epochs as the trial had; ScoreMissed if the score differs by more than `tolerance`."""
    engine.admit(0, config)
    scores: list[float] = []
    while len(scores) < provenance.num_epochs and (outcomes := engine.train_epoch()):
        scores.append(metrics_of(0, outcomes).score(provenance.metric))
    engine.evict(0)
    repeated = scores[provenance.best_epoch - 1] if len(scores) == provenance.num_epochs else float("nan")
    scored = f"stored {provenance.score:.8f}, repeated {repeated:.8f}"
    say(f"{provenance.metric} after epoch {provenance.best_epoch}: {scored}")
    if not abs(repeated - provenance.score) <= tolerance:
        raise ScoreMissed(
            f"trial {provenance.trial} of {provenance.study}: the stored score is missed by more than {tolerance:g}; "
            "config, data, threads or versions differ from the sweep's"
        )
    return Verification(provenance.metric, provenance.score, repeated)
