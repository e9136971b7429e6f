"""Define the limits of a sweep, and the clock for its timeout, which counts across resumes."""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """When a sweep ends.

    Attributes:
        num_trials: Total number of finished trials.
        timeout_s: Total time in seconds, across resumes; None for no limit.
        max_failures: Number of consecutive failed trials; None for the default, see `reason_to_stop`.
    """

    num_trials: int
    timeout_s: float | None = None
    max_failures: int | None = None


class SweepClock:
    """Measure the time of a sweep across resumes.

    Args:
        elapsed_before_s: Time of earlier processes in seconds.
        timeout_s: Total time allowed in seconds; None for no limit.
    """

    def __init__(self, elapsed_before_s: float, timeout_s: float | None) -> None:
        self._elapsed_before_s, self._timeout_s = elapsed_before_s, timeout_s
        self._started = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Return the time of all processes of the sweep so far, in seconds."""
        return self._elapsed_before_s + time.monotonic() - self._started

    @property
    def is_timed_out(self) -> bool:
        """Return whether the timeout has been reached."""
        return self._timeout_s is not None and self.elapsed_s >= self._timeout_s
