"""SIGINT, SIGTERM and SIGHUP, raised as `Interrupted` where it is safe.

Until a sweep runs, at once: nothing is at stake. While it runs, at `check` alone, which the tuner calls between rounds
and an engine between its calls on the device: an exception out of a signal handler may be swallowed by a finalizer or
dressed as another error by the Keras backend, in a transaction it would do harm.

The first signal ends the process in order; those that follow change nothing.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from sweep.errors import Interrupted
from sweep.system.forking import in_children

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """As a context it handles the signals; without, `check` never raises. Under nohup, SIGHUP stays ignored."""

    def __init__(self) -> None:
        self._arrived: int | None = None
        self._is_polled = False

    def __enter__(self) -> Self:
        is_nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        handled = [number for number in SIGNALS if number != signal.SIGHUP or not is_nohup]
        self._previous = {number: signal.signal(number, self._handle) for number in handled}
        in_children(self, Interruption._restore)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._arrived is None:
            self._restore()
        elif isinstance(error, OSError):  # the terminal that hung up cannot be written any more
            raise Interrupted(self._arrived) from None

    @contextmanager
    def polled(self) -> Iterator[None]:
        """Raise at `check` alone while the body runs."""
        self._is_polled = True
        try:
            yield
        finally:
            self._is_polled = False

    def check(self) -> None:
        """Raise Interrupted if a signal has arrived."""
        if self._arrived is not None:
            raise Interrupted(self._arrived)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._arrived is None:
            self._arrived = number
            if not self._is_polled:
                self.check()
