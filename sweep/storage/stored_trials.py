"""Read the attributes of stored trials robustly, as other programs may have set the same attributes."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from optuna.trial import FrozenTrial

CODE = "code"  # user attribute of a trial: the digest of the user code that trained it
SET_ASIDE = "sweep:set_aside"  # user attribute of a trial that cannot be used: the reason (see `storage.set_aside`)
DIGEST = re.compile("[0-9a-f]{16}")  # the format of `UserCode.digest`
EPOCH_KEYS = ("run", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")


def epochs(trial: FrozenTrial) -> list[dict[str, Any]]:
    """Return the trial's epochs as reported: epoch, loss, accuracy, val_loss, ... (see `EpochRecord`)."""
    stored = trial.user_attrs.get("history")
    return [epoch for epoch in stored if isinstance(epoch, dict)] if isinstance(stored, list) else []


def further_metrics(history: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the keys of stored epochs that are not in `EPOCH_KEYS`, in their order: further metrics."""
    return list(dict.fromkeys(key for epoch in history for key in epoch if key not in EPOCH_KEYS))


def code_digest(trial: FrozenTrial) -> str:
    """Return the digest of the user code that trained the trial; "" if it is unknown or invalid."""
    digest = trial.user_attrs.get(CODE)
    return digest if isinstance(digest, str) and DIGEST.fullmatch(digest) else ""


def cause_and_error(trial: FrozenTrial) -> tuple[str, str]:
    """Return cause and error of a FAIL trial; the cause is "unknown" and the error "" if they are not stored."""
    if SET_ASIDE in trial.user_attrs:
        return "set aside", str(trial.user_attrs[SET_ASIDE])
    return str(trial.user_attrs.get("cause", "unknown")), str(trial.user_attrs.get("error", ""))


def section(values: dict[str, Any], key: str) -> dict[str, Any]:
    """Return a table of a stored attribute; empty if it is not a table."""
    value = values.get(key)
    return value if isinstance(value, dict) else {}


def reported(trial: FrozenTrial) -> dict[int, float]:
    """Return the values that a trial has reported by epoch or run, counted from 1, in their order.

    Epoch 1 is reported at step 0, as by Keras's pruning callback. In older studies it was reported at step 1; these
    trials are recognized by having no step 0.
    """
    values = trial.intermediate_values
    shift = 1 if 0 in values else 0
    return {step + shift: values[step] for step in sorted(values)}
