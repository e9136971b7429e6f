"""Define a worker as its supervisor sees it, local or remote: it exchanges messages and is reaped after its exit."""

from dataclasses import dataclass
from typing import Any, Protocol

from sweep.errors import Cause

LOG_LINES = 20  # of what a worker printed last
PATIENCE_S = 2.0  # for an orderly end, before it is killed
SECRETS = ("SWEEP_STORAGE", "PGPASSWORD", "PGPASSFILE", "PGUSER", "PGHOST", "DATABASE_URL")  # no worker's to know
_WORDS_OF_NO_MEMORY = (
    *("MemoryError", "bad_alloc", "Cannot allocate memory", "RESOURCE_EXHAUSTED", "out of memory"),
    "running low on memory",  # Ray's, before it kills
)


@dataclass(frozen=True)
class WorkerExit:
    """How a worker ended, in words; `cause` is what a trial that did it failed of."""

    cause: Cause
    error: str
    peak_memory_mb: float | None  # None where nobody knows
    log_tail: str


class WorkerHandle(Protocol):
    """A worker that hosts one engine. It never sees the database: not its URL, nor what opens it."""

    host: str  # where it runs

    @property
    def pid(self) -> int:
        """Return the id of its process on its host."""

    @property
    def waitables(self) -> list[Any]:
        """Return what becomes ready when there is an answer or the worker has exited."""

    def send(self, **message: Any) -> None:
        """Send a message. That the worker has exited is noticed when the answer is awaited."""

    def receive(self) -> dict[str, Any] | None:
        """Return the answer that is ready, {} if there is none yet, None if the worker has exited."""

    def hang_up(self) -> None:
        """Tell it to end, and do not wait for that."""

    def end(self) -> None:
        """Let it end; kill it if it does not."""

    def reap(self, *, patience_s: float = PATIENCE_S) -> WorkerExit:
        """Return how the worker ended; one that has not ended after `patience_s` is killed."""

    def log_tail(self) -> str:
        """Return what it printed last."""


def is_of_no_memory(text: str) -> bool:
    """Return whether the last output says that the memory was exhausted."""
    return any(words in text for words in _WORDS_OF_NO_MEMORY)


def last_lines(text: str) -> str:
    """Return as many of the last lines as are kept of a log."""
    return "\n".join(text.splitlines()[-LOG_LINES:])
