"""The trials with which a study begins, in one transaction: those of an earlier study, then those of its space file."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, create_trial

from sweep.space.space import Space
from sweep.storage.stored_trials import CODE
from sweep.tuning.transfer import EARLIER, EarlierTrial, Transfer

RECHECK = "recheck"  # the user attribute of a trial that is run once more
KEPT_ATTRS = ("seed", "history", CODE)


def begin(
    study: optuna.Study, space: Space, distributions: Mapping[str, BaseDistribution], transfer: Transfer | None
) -> None:
    """Create the first trials of a study without trials, inside a transaction."""
    if transfer is not None:
        study.set_user_attr(EARLIER, {"study": transfer.source, "finished": len(transfer.finished)})
        for one in transfer.finished:
            study.add_trial(_finished(transfer.source, one, distributions))
        for one in transfer.rechecked:
            study.enqueue_trial(one.params, user_attrs={RECHECK: {**_source(transfer.source, one), **_result(one)}})
        for one in transfer.again:
            study.enqueue_trial(one.params, user_attrs={EARLIER: _source(transfer.source, one)})
    for params in space.first_trials:
        study.enqueue_trial(params)


def recheck_seed(trial: FrozenTrial) -> int | None:
    """Return the seed of a trial that is run once more; None for any other."""
    recheck = trial.user_attrs.get(RECHECK)
    seed = recheck.get("seed") if isinstance(recheck, dict) else None
    return seed if isinstance(seed, int) else None


def _finished(source: str, one: EarlierTrial, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    kept = {key: one.trial.user_attrs[key] for key in KEPT_ATTRS if key in one.trial.user_attrs}
    own = one.trial.distributions
    return create_trial(
        state=one.trial.state,
        values=one.trial.values,
        params=one.params,
        distributions={name: distributions.get(name) or own[name] for name in one.params},
        intermediate_values=one.trial.intermediate_values,
        user_attrs={**kept, EARLIER: _source(source, one)},
    )


def _source(source: str, one: EarlierTrial) -> dict[str, Any]:
    return {"study": source, "trial": one.number}


def _result(one: EarlierTrial) -> dict[str, Any]:
    return {"values": one.trial.values, "seed": one.trial.user_attrs.get("seed")}
