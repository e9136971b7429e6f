"""Decide when failed trials stop a sweep: too many consecutive ones, or the same error in consecutive ones.

Trials are consecutive by number, ignoring trials of other programs. The order in which they end is not used: on many
lanes, trials that fail immediately end before others with lower numbers. A trial that is RUNNING, COMPLETE or PRUNED
ends a sequence. Everything is read from the study, so failures count across resumes.

The default is five. KerasTuner stops after three, but if trials fail by chance with a probability of 0.3, as with a
range of learning rates that is too wide, three consecutive failures occur in 44 % of sweeps of 30 trials, and five in
4 %.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from sweep.errors import MAX_FAILURES, SAME_ERRORS, Cause, SweepStopped
from sweep.executors.base import FailureContext, LaneLost, failure_context
from sweep.storage import WriteBehindStorage

MOST_CAUSES = 5  # in a message
MOST_CHARACTERS = 200  # of each error in a message


@dataclass(frozen=True)
class Failure:
    """Why a trial failed.

    Attributes:
        cause: The cause.
        error: The error in one line.
        traceback_tail: The last lines of the traceback; "" if there is none.
        where: Where the trial was trained.
    """

    cause: Cause
    error: str
    traceback_tail: str = ""
    where: FailureContext = field(default_factory=failure_context)

    @classmethod
    def of(cls, event: LaneLost) -> "Failure":
        """Describe the failure of a run that an executor has lost."""
        return cls(event.cause, event.error, event.traceback_tail, event.context)

    @classmethod
    def at(cls, where: FailureContext | None, cause: Cause, error: str) -> "Failure":
        """Describe a failure in the context that a worker reported; None for this process."""
        return cls(cause, error, where=where or failure_context())

    def attrs(self) -> tuple[Any, ...]:
        """Return the values of FAILURE_ATTRS."""
        where = self.where
        why = (self.cause.value, self.error, self.traceback_tail)
        return (*why, where.attempt, where.host, where.peak_memory_mb, where.log_tail)


class FailureStreak:
    """Stop a sweep after too many consecutive failed trials; arguments are as in `reason_to_stop`."""

    def __init__(self, storage: WriteBehindStorage, max_failures: int | None = None) -> None:
        self._storage, self._max_failures = storage, max_failures
        self._reason: str | None = None

    def count(self, number: int) -> None:
        """Count a trial that was set to FAIL."""
        self._reason = reason_to_stop(self._storage, number, self._max_failures) or self._reason

    def would_end(self, number: int) -> bool:
        """Return whether `check` would raise if this failed trial were counted too."""
        return (self._reason or reason_to_stop(self._storage, number, self._max_failures)) is not None

    def check(self, study_name: str) -> None:
        """Raise SweepStopped if too many consecutive trials have failed."""
        if self._reason is not None:
            raise SweepStopped(f"{self._reason}; `sweep show {study_name} N` shows a trial's error")


def reason_to_stop(storage: WriteBehindStorage, number: int, max_failures: int | None = None) -> str | None:
    """Decide whether a sweep should stop after a trial failed.

    Args:
        storage: The study's storage.
        number: Number of the failed trial.
        max_failures: Number of consecutive failed trials that stop the sweep. Default: MAX_FAILURES, or SAME_ERRORS
            with the same error.

    Returns:
        A message with the causes and the fix; None to continue.
    """
    failed = storage.get_trial(number)
    if not _is_failure(failed):
        return None
    same = _streak(storage, failed, lambda other: _signature(other) == _signature(failed))
    if max_failures is None and len(same) >= SAME_ERRORS and failed.user_attrs["cause"] != Cause.NAN:
        return f"{_numbers(same)} failed with the same error: {_text(failed)}; --max-failures N allows more"
    streak = _streak(storage, failed, lambda other: True)
    if len(streak) < (max_failures or MAX_FAILURES):
        return None
    causes = Counter(map(_text, streak)).most_common()
    shown = "; ".join(f"{count} with {text}" for text, count in causes[:MOST_CAUSES])
    more = f"; and {len(causes) - MOST_CAUSES} other errors" if len(causes) > MOST_CAUSES else ""
    return f"{_numbers(streak)} failed, {len(streak)} in a row: {shown}{more}; --max-failures N allows more"


def _streak(
    storage: WriteBehindStorage, failed: FrozenTrial, belongs: Callable[[FrozenTrial], bool]
) -> list[FrozenTrial]:
    """Return the failed trial with the consecutive failed trials before and after it that belong to it, by number."""
    before = _consecutive_failures(storage, range(failed.number - 1, -1, -1), belongs)
    after = _consecutive_failures(storage, range(failed.number + 1, storage.num_trials), belongs)
    return [*reversed([*before]), failed, *after]


def _consecutive_failures(
    storage: WriteBehindStorage, numbers: range, belongs: Callable[[FrozenTrial], bool]
) -> Iterator[FrozenTrial]:
    for trial in map(storage.get_trial, numbers):
        if _is_failure(trial) and belongs(trial):
            yield trial
        elif not _is_ignored(trial):
            return


def _is_failure(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.FAIL and "cause" in trial.user_attrs and not _is_ignored(trial)


def _is_ignored(trial: FrozenTrial) -> bool:
    """Return whether a failure says nothing about others: by another program, or of an enqueued trial's own params."""
    attrs = trial.user_attrs
    if "seed" not in attrs or (trial.state == TrialState.FAIL and "cause" not in attrs):
        return True
    could_not_begin = attrs.get("cause") == Cause.BUILD_ERROR and "history" not in attrs
    return could_not_begin and "fixed_params" in trial.system_attrs


def _signature(trial: FrozenTrial) -> tuple[str, str]:
    return trial.user_attrs.get("error", ""), trial.user_attrs.get("traceback", "")


def _text(trial: FrozenTrial) -> str:
    """Return cause and error, such as `nan (the loss is not finite after epoch 1)`."""
    lines = trial.user_attrs.get("error", "").splitlines() or [""]
    return f"{trial.user_attrs['cause']} ({lines[0][:MOST_CHARACTERS]})"


def _numbers(streak: list[FrozenTrial]) -> str:
    first, last = streak[0].number, streak[-1].number
    return f"trials {first} to {last}" if len(streak) > 1 else f"trial {first}"
