"""Compute a digest for each trial and study of the sweep, stored with it as the system attribute `sweep:digest`.

SQLite's own check finds a broken page, but not a changed digit in a score. So the sweep stores a digest with what it
writes, in the same transaction, and sweep's commands compare it when they read (`damage`).

A trial's digest has two parts, neither of which contains its times:

    run    number, params with their distributions, intermediate values, the user attributes that the sweep owns
    end    number, state, values, and what samplers and pruners remember (system attributes)

`rows` lists the rows that both parts cover: another program may add other rows to a running trial. `end` is of the
state that is stored next to it. Another program may also finish a running trial of the sweep: its state then differs
from the stored RUNNING, and `end` is not compared. Trials of other programs have no digest, or one that was copied from
a trial of another number, and are not checked. A study that is older than digests gets them in its next transaction.
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
from sweep.pareto import RUN_VALUES
from sweep.storage.stored_trials import CODE

DIGEST = "sweep:digest"
MADE_BY_SWEEP = "sweep"  # the user attribute of a study that sweep created: its settings
CONFIRMATION = "confirmation"  # that of `sweep confirm`
OWN_STUDY_ATTRS = (MADE_BY_SWEEP, "metric", CONFIRMATION)
TRAINED_BY_SWEEP = "seed"  # the user attribute of a trial that sweep trains
OWN_TRIAL_ATTRS = (TRAINED_BY_SWEEP, "history", RUN_VALUES, CODE, *FAILURE_ATTRS)
OTHERS_SYSTEM_ATTRS = ("dashboard:", "artifacts:")  # prefixes of what other programs set, also on the sweep's trials
RUNNING = "RUNNING"
LENGTH = 16  # hexadecimal digits

_encode = json.JSONEncoder(sort_keys=True).encode


@dataclass
class TrialContent:
    """The content of a trial that its digest covers, as the database stores it: attributes are JSON."""

    number: int
    state: str
    params: dict[str, Any] = field(default_factory=dict)  # name -> (internal value, distribution as JSON)
    intermediate_values: dict[int, Any] = field(default_factory=dict)
    values: dict[int, Any] = field(default_factory=dict)  # by objective
    user_attrs: dict[str, str] = field(default_factory=dict)
    system_attrs: dict[str, str] = field(default_factory=dict)

    def rows(self) -> dict[str, Any]:
        """Return the rows that the digest covers: names and keys, and ranges of steps as [first, last]."""
        return {
            "params": [*self.params],
            "steps": _ranges(self.intermediate_values),
            "values": [*self.values],
            "user": [key for key in self.user_attrs if key in OWN_TRIAL_ATTRS],
            "system": [key for key in self.system_attrs if _is_remembered(key)],
        }

    def of_rows(self, rows: Mapping[str, Any]) -> "TrialContent":
        """Return a copy with only the rows that a digest covers, as returned by `rows`."""
        steps = [step for first, last in rows["steps"] for step in range(first, last + 1)]
        return TrialContent(
            self.number,
            self.state,
            _subset(self.params, rows["params"]),
            _subset(self.intermediate_values, steps),
            _subset(self.values, rows["values"]),
            _subset(self.user_attrs, rows["user"]),
            _subset(self.system_attrs, rows["system"]),
        )

    def run_hash(self, fixed: str = "") -> str:
        """Return the hash of `run`.

        Args:
            fixed: The result of `fixed_hash`, to avoid computing it again; "" to compute it.
        """
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
    """Compute digests of the sweep's trials; unchanged parts of a running trial are cached."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, str, str, dict[str, Any]]] = {}  # number -> content, fixed, end, rows

    def of(self, trial: FrozenTrial) -> dict[str, Any]:
        """Return the digest to store with the trial in its current state."""
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
    """Check whether a stored trial matches its digest.

    Args:
        trial: The stored trial.
        position: Its position among the study's rows, from 0; None if unknown.
        end_only: Whether only state and values are compared.

    Returns:
        Whether it matches; True for a trial without a digest, which another program wrote.

    Raises:
        Exception: Anything, if the content is damaged.
    """
    text = trial.system_attrs.get(DIGEST)
    if text is None:
        return True
    digest = json.loads(text)
    if digest.get("number", trial.number) != trial.number:
        return position in (None, trial.number)  # plain Optuna copied the trial and gave it another number
    if "rows" in digest:
        trial = trial.of_rows(digest["rows"])
    else:  # an older digest covers all rows except those that were introduced later
        trial = replace(trial, user_attrs={key: text for key, text in trial.user_attrs.items() if key != CODE})
    is_finished_by_others = digest["state"] == RUNNING != trial.state
    is_end_right = is_finished_by_others or (digest["state"], digest["end"]) == (trial.state, trial.end_hash())
    return is_end_right and (end_only or digest["run"] == trial.run_hash())


def is_ours(trial: FrozenTrial) -> bool:
    """Return whether the sweep wrote the trial: it has a digest, and not one copied from a trial of another number."""
    digest = trial.system_attrs.get(DIGEST)
    return isinstance(digest, dict) and digest.get("number", trial.number) == trial.number


def study_digest(name: str, directions: Sequence[StudyDirection], user_attrs: Mapping[str, Any]) -> dict[str, str]:
    """Return the digest to store with a study. It contains the name, as plain Optuna copies it under another name.

    Args:
        name: Name of the study.
        directions: The direction of each objective.
        user_attrs: The study's user attributes.
    """
    names = {objective: direction.name for objective, direction in enumerate(directions)}
    return {"name": name, "hash": study_hash(name, names, _as_json(user_attrs, OWN_STUDY_ATTRS))}


def is_study_intact(text: str, name: str, directions: Mapping[int, str], user_attrs: Mapping[str, str]) -> bool:
    """Check whether a stored study matches its digest.

    Args:
        text: The digest as JSON.
        name: Name of the study.
        directions: The names of directions by objective.
        user_attrs: The study's user attributes as JSON.

    Raises:
        Exception: Anything, if the content is damaged.
    """
    digest = json.loads(text)
    if isinstance(digest, str):  # an older digest
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


def _subset(rows: Mapping[Any, Any], keys: Iterable[Any]) -> dict[Any, Any]:
    """Return the rows with these keys; a missing row changes the digest."""
    return {key: rows[key] for key in keys if key in rows}


def _ranges(steps: Iterable[int]) -> list[list[int]]:
    """Return the first and the last step of each range of consecutive steps.

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
