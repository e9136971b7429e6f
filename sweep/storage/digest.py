"""A digest for each trial and study of the sweep, stored with it as the system attribute `sweep:digest`.

SQLite's own check finds a broken page; it does not find another digit in a score. So what the sweep writes is written
with a digest of it, in the same transaction, and compared wherever a command of sweep reads (`damage`).

A trial's digest has two parts (its times are in neither):

    run    number, params with their distributions, intermediate values, the user attributes that the sweep owns
    end    number, state, values, and what samplers and pruners remember (system attributes)

`rows` names the rows that both are of: another program may add others to a trial that runs, which is no damage either.
`end` is that of the state that is stored next to it. Another program may finish a running trial of the sweep, which is
not damage: its state then differs from the stored RUNNING, and `end` is not compared. Trials of other programs have no
digest, or a copied one of another number, and are not checked. A study from before there were digests gets them with
its next transaction.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from optuna.distributions import distribution_to_json
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from sweep.errors import FAILURE_ATTRS
from sweep.storage.stored_trials import CODE

DIGEST = "sweep:digest"
MADE_BY_SWEEP = "sweep"  # the user attribute of a study that sweep created: its settings
CONFIRMATION = "confirmation"  # that of `sweep confirm`
OWN_STUDY_ATTRS = (MADE_BY_SWEEP, "metric", CONFIRMATION)
TRAINED_BY_SWEEP = "seed"  # the user attribute of a trial that sweep trains
OWN_TRIAL_ATTRS = (TRAINED_BY_SWEEP, "history", CODE, *FAILURE_ATTRS)
OTHERS_SYSTEM_ATTRS = ("dashboard:", "artifacts:")  # also on trials that sweep trains
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

    def rows(self) -> dict[str, Any]:
        """Return the rows that the digests cover: names, keys, and pairs of the first and last step in sequence."""
        return {
            "params": [*self.params],
            "steps": _ranges(self.intermediate_values),
            "values": [*self.values],
            "user": [key for key in self.user_attrs if key in OWN_TRIAL_ATTRS],
            "system": [key for key in self.system_attrs if _is_remembered(key)],
        }

    def of_rows(self, rows: Mapping[str, Any]) -> "TrialContent":
        """Return the same content with these rows alone."""
        steps = [step for first, last in rows["steps"] for step in range(first, last + 1)]
        return TrialContent(
            self.number,
            self.state,
            _those(self.params, rows["params"]),
            _those(self.intermediate_values, steps),
            _those(self.values, rows["values"]),
            _those(self.user_attrs, rows["user"]),
            _those(self.system_attrs, rows["system"]),
        )

    def run_hash(self, fixed: str = "") -> str:
        """Return the hash of `run`; `fixed` is `fixed_hash`, if it is known."""
        reals = {step: value + 0.0 for step, value in self.intermediate_values.items()}  # SQLite has no -0.0
        return _hash(self.number, fixed or self.fixed_hash(), reals)

    def fixed_hash(self) -> str:
        """Return the hash of the part of `run` that does not change from epoch to epoch."""
        return _hash(self.params, {key: text for key, text in self.user_attrs.items() if key in OWN_TRIAL_ATTRS})

    def end_hash(self) -> str:
        """Return the hash of `end` for the current state."""
        reals = {objective: value + 0.0 for objective, value in self.values.items()}
        remembered = {key: text for key, text in self.system_attrs.items() if _is_remembered(key)}
        return _hash(self.number, self.state, reals, remembered)


class TrialDigests:
    """Compute digests of the sweep's trials; unchanged parts of a running trial are not recomputed."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, str, str, dict[str, Any]]] = {}  # number -> of what, fixed, end, rows

    def of(self, trial: FrozenTrial) -> dict[str, Any]:
        """Return what is stored with the trial in its current state."""
        source = (trial.state, trial.values, {**trial.params}, {**trial.user_attrs}, {**trial.system_attrs})
        before, fixed, end, rows = self._known.get(trial.number, (None, "", "", {}))
        if source != before:
            content = content_of(trial)
            fixed, end, rows = content.fixed_hash(), content.end_hash(), content.rows()
            self._known[trial.number] = (source, fixed, end, rows)
        if trial.state.is_finished():
            del self._known[trial.number]
        epochs = TrialContent(trial.number, "", intermediate_values=trial.intermediate_values)
        rows = {**rows, "steps": _ranges(trial.intermediate_values)}
        run = epochs.run_hash(fixed)
        return {"number": trial.number, "run": run, "state": trial.state.name, "end": end, "rows": rows}


def content_of(trial: FrozenTrial) -> TrialContent:
    """Return the content of an Optuna trial, from any storage."""
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


def is_intact(trial: TrialContent, position: int | None = None, *, end_only: bool = False) -> bool:
    """Return whether a stored trial agrees with its digest; one without a digest is another program's and passes.

    Args:
        trial: The stored trial.
        position: Its place among the study's rows; None if unknown.
        end_only: Whether only state and values are compared.

    Raises:
        Exception: Anything, if the content is damaged.
    """
    text = trial.system_attrs.get(DIGEST)
    if text is None:
        return True
    digest = json.loads(text)
    if digest.get("number", trial.number) != trial.number:
        return position in (None, trial.number)  # a copy that plain Optuna made and renumbered
    if "rows" in digest:
        trial = trial.of_rows(digest["rows"])
    else:  # an older one, of all rows that there were then
        trial = replace(trial, user_attrs={key: text for key, text in trial.user_attrs.items() if key != CODE})
    is_told_by_others = digest["state"] == RUNNING != trial.state
    is_end_right = is_told_by_others or (digest["state"], digest["end"]) == (trial.state, trial.end_hash())
    return is_end_right and (end_only or digest["run"] == trial.run_hash())


def is_ours(trial: FrozenTrial) -> bool:
    """Return whether the trial's digest is its own; one that plain Optuna copied is of another number."""
    digest = trial.system_attrs.get(DIGEST)
    return isinstance(digest, dict) and digest.get("number", trial.number) == trial.number


def study_digest(name: str, directions: Sequence[StudyDirection], user_attrs: Mapping[str, Any]) -> dict[str, str]:
    """Return what is stored with a study of the sweep; plain Optuna copies it with the study under another name."""
    names = {objective: direction.name for objective, direction in enumerate(directions)}
    return {"name": name, "hash": study_hash(name, names, _as_json(user_attrs, OWN_STUDY_ATTRS))}


def is_study_intact(text: str, name: str, directions: Mapping[int, str], user_attrs: Mapping[str, str]) -> bool:
    """Return whether a stored study agrees with its digest. Damaged content may raise anything."""
    digest = json.loads(text)
    if isinstance(digest, str):  # an older one
        digest = {"name": name, "hash": digest}
    return bool(digest["hash"] == study_hash(digest["name"], directions, user_attrs))


def study_hash(name: str, directions: Mapping[int, str], user_attrs: Mapping[str, str]) -> str:
    """Return the hash of a study as it is stored: directions by objective, attributes as JSON."""
    return _hash(name, directions, {key: text for key, text in user_attrs.items() if key in OWN_STUDY_ATTRS})


def _is_remembered(key: str) -> bool:
    return key != DIGEST and not key.startswith(OTHERS_SYSTEM_ATTRS)


def _as_json(attrs: Mapping[str, Any], keys: Iterable[str]) -> dict[str, str]:
    return {key: json.dumps(attrs[key]) for key in keys if key in attrs}


def _hash(*content: Any) -> str:
    return hashlib.sha256(_encode(content).encode()).hexdigest()[:LENGTH]


def _those(rows: Mapping[Any, Any], keys: Iterable[Any]) -> dict[Any, Any]:
    """One that is missing makes another digest."""
    return {key: rows[key] for key in keys if key in rows}


def _ranges(steps: Iterable[int]) -> list[list[int]]:
    """Pairs of the first and the last step of each unbroken run.

    >>> _ranges([1, 2, 3, 7])
    [[1, 3], [7, 7]]
    """
    ranges: list[list[int]] = []
    for step in sorted(steps):
        if ranges and step == ranges[-1][1] + 1:
            ranges[-1][1] = step
        else:
            ranges.append([step, step])
    return ranges
