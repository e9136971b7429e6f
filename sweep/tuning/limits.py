"""Decide when a sweep ends. Its clock continues from where an earlier process stopped."""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """When a sweep ends: `num_trials` finished trials in total, or `timeout_s` seconds in total across resumes.

    It stops where `max_failures` trials in a row fail, see `reason_to_stop`.
    """

    num_trials: int
    timeout_s: float | None = None
    max_failures: int | None = None


class SweepClock:
    """Seconds that a sweep has taken, of all its processes."""

    def __init__(self, elapsed_before_s: float, timeout_s: float | None) -> None:
        self._elapsed_before_s, self._timeout_s = elapsed_before_s, timeout_s
        self._started = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Return the seconds of all processes of the sweep so far."""
        return self._elapsed_before_s + time.monotonic() - self._started

    @property
    def is_timed_out(self) -> bool:
        """Return whether the timeout has been reached."""
        return self._timeout_s is not None and self.elapsed_s >= self._timeout_s
