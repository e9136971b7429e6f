"""Define the protocol of a worker, local or remote, as its supervisor uses it: messages, and its exit."""

from dataclasses import dataclass
from typing import Any, Protocol

from sweep.errors import Cause

LOG_LINES = 20  # the last lines of a worker's output that are kept
PATIENCE_S = 2.0  # time for a normal exit before a worker is killed
SECRETS = ("SWEEP_STORAGE", "PGPASSWORD", "PGPASSFILE", "PGUSER", "PGHOST", "DATABASE_URL")  # not passed to workers
_OUT_OF_MEMORY_TEXTS = (
    *("MemoryError", "bad_alloc", "Cannot allocate memory", "RESOURCE_EXHAUSTED", "out of memory"),
    "running low on memory",  # printed by Ray before it kills a worker
)


@dataclass(frozen=True)
class WorkerExit:
    """How a worker exited.

    Attributes:
        cause: The cause of failure of a trial that made it exit.
        error: A description in one line.
        peak_memory_mb: Peak resident memory of its process in MB; None if it is unknown.
        log_tail: The last lines that it printed.
    """

    cause: Cause
    error: str
    peak_memory_mb: float | None
    log_tail: str


class WorkerHandle(Protocol):
    """A worker that hosts one engine. It gets neither the URL of the database nor its passwords.

    Attributes:
        host: Name of the machine that it runs on.
    """

    host: str

    @property
    def pid(self) -> int:
        """Return the id of its process on its host."""

    @property
    def waitables(self) -> list[Any]:
        """Return objects to wait for; one becomes ready when there is an answer or the worker has exited."""

    def send(self, **message: Any) -> None:
        """Send a message. If the worker has exited, nothing is raised; `receive` returns None."""

    def receive(self) -> dict[str, Any] | None:
        """Return the next answer, {} if there is none yet, None if the worker has exited."""

    def request_exit(self) -> None:
        """Make the worker exit, without waiting for it."""

    def end(self) -> None:
        """Make the worker exit and wait for it; kill it if it does not."""

    def reap(self, *, patience_s: float = PATIENCE_S) -> WorkerExit:
        """Return how the worker exited; kill it if it has not after `patience_s` seconds."""

    def log_tail(self) -> str:
        """Return the last lines that the worker printed."""


def reports_out_of_memory(text: str) -> bool:
    """Return whether a worker's output contains a message that memory ran out."""
    return any(message in text for message in _OUT_OF_MEMORY_TEXTS)


def last_lines(text: str) -> str:
    """Return the last `LOG_LINES` lines of an output."""
    return "\n".join(text.splitlines()[-LOG_LINES:])
