"""When failed trials end a sweep: too many in a row, or the same error in a row.

In a row means by number, with trials of other programs left out: on many lanes a trial that fails at once ends before
its healthy neighbours, and the order in which trials end says little. A trial that is running, COMPLETE or PRUNED ends
the row. All of it is read from the study, so it counts across resumes.

Five by default: KerasTuner stops at three, but of 30 trials that fail by chance with a probability of 0.3, as where the
range of a learning rate reaches too far, three in a row occur in 44 % of the sweeps, five in 4 %.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from sweep.errors import MAX_FAILURES, SAME_ERRORS, Cause, SweepStopped
from sweep.executors.base import FailureContext, LaneLost, failure_context
from sweep.storage import WriteBehindStorage

MOST_CAUSES = 5  # named in a line
MOST_CHARACTERS = 200  # of each


@dataclass(frozen=True)
class Failure:
    """Why a trial failed, and where it was trained."""

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
        """Describe the failure of a run in a context that a worker may have reported."""
        return cls(cause, error, where=where or failure_context())

    def attrs(self) -> tuple[Any, ...]:
        """Return the values of FAILURE_ATTRS."""
        where = self.where
        told = (self.cause.value, self.error, self.traceback_tail)
        return (*told, where.attempt, where.host, where.peak_memory_mb, where.log_tail)


class FailureStreak:
    """Ends a sweep in which too many trials in a row fail."""

    def __init__(self, storage: WriteBehindStorage, max_failures: int | None = None) -> None:
        """See `reason_to_stop`."""
        self._storage, self._max_failures = storage, max_failures
        self._reason: str | None = None

    def count(self, number: int) -> None:
        """Count a trial that was set to FAIL."""
        self._reason = reason_to_stop(self._storage, number, self._max_failures) or self._reason

    def would_end(self, number: int) -> bool:
        """Return whether `check` would raise if this trial were counted too."""
        return (self._reason or reason_to_stop(self._storage, number, self._max_failures)) is not None

    def check(self, study_name: str) -> None:
        """Raise SweepStopped where there were too many."""
        if self._reason is not None:
            raise SweepStopped(f"{self._reason}; `sweep show {study_name} N` shows a trial's error")


def reason_to_stop(storage: WriteBehindStorage, number: int, max_failures: int | None = None) -> str | None:
    """Whether a sweep should stop after the trial of this number failed.

    Args:
        storage: The study's.
        number: Of a trial that failed.
        max_failures: As many failed trials in a row end the sweep, whatever their errors. Default: MAX_FAILURES, or
            SAME_ERRORS that are the same.

    Returns:
        One line with the causes and what to do; None to go on.
    """
    failed = storage.get_trial(number)
    if not _is_failure(failed):
        return None
    same = _row(storage, failed, lambda other: _signature(other) == _signature(failed))
    if max_failures is None and len(same) >= SAME_ERRORS and failed.user_attrs["cause"] != Cause.NAN:
        return f"{_numbers(same)} failed with the same error: {_text(failed)}; --max-failures N allows more"
    row = _row(storage, failed, lambda other: True)
    if len(row) < (max_failures or MAX_FAILURES):
        return None
    causes = Counter(map(_text, row)).most_common()
    shown = "; ".join(f"{count} with {text}" for text, count in causes[:MOST_CAUSES])
    more = f"; and {len(causes) - MOST_CAUSES} other errors" if len(causes) > MOST_CAUSES else ""
    return f"{_numbers(row)} failed, {len(row)} in a row: {shown}{more}; --max-failures N allows more"


def _row(storage: WriteBehindStorage, failed: FrozenTrial, belongs: Callable[[FrozenTrial], bool]) -> list[FrozenTrial]:
    """The failed trial with its neighbours of either side that failed and belong to it, by number."""
    before = _neighbours(storage, range(failed.number - 1, -1, -1), belongs)
    after = _neighbours(storage, range(failed.number + 1, storage.num_trials), belongs)
    return [*reversed([*before]), failed, *after]


def _neighbours(
    storage: WriteBehindStorage, numbers: range, belongs: Callable[[FrozenTrial], bool]
) -> Iterator[FrozenTrial]:
    for trial in map(storage.get_trial, numbers):
        if _is_failure(trial) and belongs(trial):
            yield trial
        elif not _is_left_out(trial):
            return


def _is_failure(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.FAIL and "cause" in trial.user_attrs and not _is_left_out(trial)


def _is_left_out(trial: FrozenTrial) -> bool:
    """Of another program, told by one, or enqueued with params that cannot be: that says nothing about the others."""
    attrs = trial.user_attrs
    if "seed" not in attrs or (trial.state == TrialState.FAIL and "cause" not in attrs):
        return True
    could_not_begin = attrs.get("cause") == Cause.BUILD_ERROR and "history" not in attrs
    return could_not_begin and "fixed_params" in trial.system_attrs


def _signature(trial: FrozenTrial) -> tuple[str, str]:
    return trial.user_attrs.get("error", ""), trial.user_attrs.get("traceback", "")


def _text(trial: FrozenTrial) -> str:
    """`nan (the loss is not finite after epoch 1)`."""
    lines = trial.user_attrs.get("error", "").splitlines() or [""]
    return f"{trial.user_attrs['cause']} ({lines[0][:MOST_CHARACTERS]})"


def _numbers(row: list[FrozenTrial]) -> str:
    return f"trials {row[0].number} to {row[-1].number}" if len(row) > 1 else f"trial {row[0].number}"
