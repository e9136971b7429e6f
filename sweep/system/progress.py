"""Progress of reading data: the command line shows it, and other callers do not notice it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")
Track = Callable[[Iterable[Item], int, str], Iterable[Item]]

_track: ContextVar[Track[object] | None] = ContextVar("track", default=None)


def tracked(items: Iterable[Item], total: int, what: str) -> Iterable[Item]:
    """Return the items, whose progress is shown if a caller has asked for it by `shown_by`.

    Args:
        items: What is iterated over.
        total: Their number.
        what: A description, such as `decoding images`.

    """
    track = _track.get()
    return items if track is None else track(items, total, what)  # type: ignore[return-value]


@contextmanager
def shown_by(track: Track[object]) -> Iterator[None]:
    """Show progress by `track(items, total, what)` while the body runs."""
    token = _track.set(track)
    try:
        yield
    finally:
        _track.reset(token)
