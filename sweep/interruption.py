"""SIGINT and SIGTERM, raised as `Interrupted` where it is safe.

A study is consistent after every transaction and a lost epoch is trained again, so an interruption may come anywhere
but inside a transaction: there it waits (`deferred`).
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from sweep.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """As a context it handles both signals; outside the main thread or unused it does nothing."""

    def __init__(self) -> None:
        self._arrived: int | None = None
        self._deferrals = 0

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Hold an interruption back until the body is done."""
        self._deferrals += 1
        try:
            yield
        finally:
            self._deferrals -= 1
        self._raise_if_due()

    def _handle(self, number: int, _: FrameType | None) -> None:
        self._arrived = number
        self._raise_if_due()

    def _raise_if_due(self) -> None:
        if self._arrived is not None and not self._deferrals:
            arrived, self._arrived = self._arrived, None
            raise Interrupted(arrived)
