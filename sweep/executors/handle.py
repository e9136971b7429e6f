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
        """Of its process, on its host."""

    @property
    def waitables(self) -> list[Any]:
        """What is ready when there is an answer, or no worker any more."""

    def send(self, **message: Any) -> None:
        """A message; that the worker has died is seen when the answer is awaited."""

    def receive(self) -> dict[str, Any] | None:
        """Return the answer that is ready, {} if there is none yet, None if the worker has exited."""

    def hang_up(self) -> None:
        """Tell it to end, and do not wait for that."""

    def end(self) -> None:
        """Let it end; kill it if it does not."""

    def reap(self, *, patience_s: float = PATIENCE_S) -> WorkerExit:
        """Say how it ended; one that is still ending after `patience_s` is killed."""

    def log_tail(self) -> str:
        """What it printed last."""


def is_of_no_memory(text: str) -> bool:
    """Whether what was printed last says that memory ran out."""
    return any(words in text for words in _WORDS_OF_NO_MEMORY)


def last_lines(text: str) -> str:
    """As many as are kept of a log."""
    return "\n".join(text.splitlines()[-LOG_LINES:])
