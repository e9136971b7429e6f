"""A digest for each trial and study of ours, stored with it as the system attribute `sweep:digest`.

SQLite's own check finds a broken page; it does not find another digit in a score. So what the sweep writes is written
with a digest of it, in the same transaction, and compared wherever a command of ours reads (`damage`).

A trial's digest has two parts (its times are in neither):

    run    number, params with their distributions, intermediate values, the user attributes that the sweep owns
    end    number, state, values, and what samplers and pruners remember (system attributes)

`end` is as of the state that is named beside it. Another program may tell a trial of ours that runs, which is no
damage: its state is then another one than the RUNNING that is named, and `end` says nothing. What others create has no
digest, and a study that was made before there were digests gets them with its next transaction.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from sweep.errors import FAILURE_ATTRS

DIGEST = "sweep:digest"
MADE_BY_SWEEP = "sweep"  # the user attribute of a study of ours: its settings
CONFIRMATION = "confirmation"  # that of `sweep confirm`
OWN_STUDY_ATTRS = (MADE_BY_SWEEP, "metric", CONFIRMATION)
TRAINED_BY_SWEEP = "seed"  # the user attribute of a trial of ours
OWN_TRIAL_ATTRS = (TRAINED_BY_SWEEP, "history", *FAILURE_ATTRS)
OTHERS_SYSTEM_ATTRS = ("dashboard:", "artifacts:")  # on trials of ours too
RUNNING = "RUNNING"
LENGTH = 16  # hexadecimal digits

_encode = json.JSONEncoder(sort_keys=True).encode


@dataclass
class TrialContent:
    """What a digest is of, in the terms of the database: parameters as Optuna stores them, attributes as JSON."""

    number: int
    state: str
    params: dict[str, Any] = field(default_factory=dict)  # name -> (internal value, distribution as JSON)
    intermediate_values: dict[int, Any] = field(default_factory=dict)
    values: dict[int, Any] = field(default_factory=dict)  # by objective
    user_attrs: dict[str, str] = field(default_factory=dict)
    system_attrs: dict[str, str] = field(default_factory=dict)

    def run_hash(self, fixed: str = "") -> str:
        """`fixed` is `fixed_hash`, where it is known."""
        reals = {step: value + 0.0 for step, value in self.intermediate_values.items()}  # SQLite has no -0.0
        return _hash(self.number, fixed or self.fixed_hash(), reals)

    def fixed_hash(self) -> str:
        """Of the part of `run` that does not change from epoch to epoch."""
        return _hash(self.params, {key: text for key, text in self.user_attrs.items() if key in OWN_TRIAL_ATTRS})

    def end_hash(self) -> str:
        """`end`, as of the state now."""
        reals = {objective: value + 0.0 for objective, value in self.values.items()}
        remembered = {key: text for key, text in self.system_attrs.items() if _is_remembered(key)}
        return _hash(self.number, self.state, reals, remembered)


class TrialDigests:
    """The digests of trials of ours. Of a running trial, what has not changed is not reckoned anew."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, str, str]] = {}  # number -> what they are of, fixed_hash, end_hash

    def of(self, trial: FrozenTrial) -> dict[str, str]:
        """What is to be stored with the trial as it is now."""
        source = (trial.state, {**trial.params}, {**trial.user_attrs}, {**trial.system_attrs})
        before, fixed, end = self._known.get(trial.number, (None, "", ""))
        if source != before:
            content = content_of(trial)
            fixed, end = content.fixed_hash(), content.end_hash()
            self._known[trial.number] = (source, fixed, end)
        if trial.state.is_finished():
            del self._known[trial.number]
        epochs = TrialContent(trial.number, "", intermediate_values=trial.intermediate_values)
        return {"run": epochs.run_hash(fixed), "state": trial.state.name, "end": end}


def content_of(trial: FrozenTrial) -> TrialContent:
    """A trial of Optuna's, from whichever storage."""
    return TrialContent(
        trial.number,
        trial.state.name,
        params={
            name: (float(distribution.to_internal_repr(trial.params[name])) + 0.0, distribution_to_json(distribution))
            for name, distribution in trial.distributions.items()
        },
        intermediate_values=trial.intermediate_values,
        values=dict(enumerate(trial.values or ())),
        user_attrs=_as_json(trial.user_attrs, OWN_TRIAL_ATTRS),
        system_attrs=_as_json(trial.system_attrs, trial.system_attrs),
    )


def is_intact(trial: TrialContent, *, is_sealed: bool, end_only: bool = False) -> bool:
    """Whether a stored trial is as its digest says; without one, whether it need not have one.

    `is_sealed` says that the study's trials of ours have digests; with `end_only`, `run` is not looked at. May raise
    anything over damaged content.
    """
    text = trial.system_attrs.get(DIGEST)
    if text is None:
        return not (is_sealed and TRAINED_BY_SWEEP in trial.user_attrs)
    digest = json.loads(text)
    is_told_by_others = digest["state"] == RUNNING != trial.state
    is_end_right = is_told_by_others or (digest["state"], digest["end"]) == (trial.state, trial.end_hash())
    return is_end_right and (end_only or digest["run"] == trial.run_hash())


def study_digest(name: str, directions: Sequence[StudyDirection], user_attrs: Mapping[str, Any]) -> str:
    """What is to be stored with a study of ours."""
    names = {objective: direction.name for objective, direction in enumerate(directions)}
    return study_hash(name, names, _as_json(user_attrs, OWN_STUDY_ATTRS))


def study_hash(name: str, directions: Mapping[int, str], user_attrs: Mapping[str, str]) -> str:
    """Of a study as it is stored: directions by objective, attributes as JSON."""
    return _hash(name, directions, {key: text for key, text in user_attrs.items() if key in OWN_STUDY_ATTRS})


def _is_remembered(key: str) -> bool:
    return key != DIGEST and not key.startswith(OTHERS_SYSTEM_ATTRS)


def _as_json(attrs: Mapping[str, Any], keys: Iterable[str]) -> dict[str, str]:
    return {key: json.dumps(attrs[key]) for key in keys if key in attrs}


def _hash(*content: Any) -> str:
    return hashlib.sha256(_encode(content).encode()).hexdigest()[:LENGTH]
