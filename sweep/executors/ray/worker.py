"""Start a worker as a Ray actor, and communicate with it by method calls."""

from collections import deque
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import ActorDiedError, GetTimeoutError, OutOfMemoryError, RayError, RayTaskError

from sweep.errors import Cause
from sweep.executors.handle import PATIENCE_S, WorkerExit, last_lines, reports_out_of_memory
from sweep.executors.messages import decode, encode
from sweep.executors.ray.cluster import WorkerResources
from sweep.executors.ray.host import WorkerHost

START_S = 120.0  # time for an actor to start
CONCURRENT = "concurrent"  # Ray concurrency group of the methods that run during training
LOST_NODE_TEXTS = ("node has died", "node is dead", "node was dead", "node failure")


class RayWorker:
    """A `WorkerHandle` for a Ray actor. Ray does not restart it, as the supervisor decides about retries.

    Args:
        request: The resources of the actor.
        arguments: Arguments of `WorkerHost`.
    """

    def __init__(self, request: WorkerResources, *arguments: Any) -> None:
        options = {"num_cpus": request.cpus, "num_gpus": request.gpus, "max_restarts": 0, "max_task_retries": 0}
        hosted = ray.remote(concurrency_groups={CONCURRENT: 2})(WorkerHost)
        self._actor = hosted.options(**options, scheduling_strategy="SPREAD").remote(*arguments)
        self._life = self._actor.live.options(concurrency_group=CONCURRENT).remote()
        self._about = self._ask_about()
        self._answers: deque[Any] = deque()  # references to the results of calls, in the order of the calls
        self._error: RayError | None = None  # how the actor ended
        self.host = ""

    @property
    def pid(self) -> int:
        """Return the id of its process on its host."""
        return int(ray.get(self._about, timeout=START_S)[1])

    def is_placed(self, timeout_s: float = 0.0) -> bool:
        """Return whether the actor runs on a node; wait for it up to this time in seconds."""
        return _is_ready(self._about, timeout_s)

    @property
    def waitables(self) -> list[Any]:
        """Return the references of the next answer and of the actor's end."""
        return [*list(self._answers)[:1], self._life]

    def send(self, **message: Any) -> None:
        """Send a message. If the actor has exited, nothing is raised; `receive` returns None."""
        with suppress(RayError):
            self._answers.append(self._actor.do.remote(encode(message)))

    def receive(self) -> dict[str, Any] | None:
        """Return the next answer, {} if there is none yet, None if the actor has exited."""
        try:
            while self._answers and _is_ready(self._answers[0]):
                answer = ray.get(self._answers.popleft())
                if answer is not None:
                    self.host = self.host or ray.get(self._about)[0]
                    return decode(answer)
            if _is_ready(self._life):
                ray.get(self._life)
        except RayError as error:
            self._error = error
            return None
        return {}

    def request_exit(self) -> None:
        """Kill the actor, which does not handle messages while it trains."""
        with suppress(RayError):
            ray.kill(self._actor)

    def end(self) -> None:
        """Kill the actor; Ray ensures that it ends."""
        self.request_exit()

    def reap(self, *, patience_s: float = PATIENCE_S) -> WorkerExit:
        """Return how the actor ended; kill it if it has not after `patience_s` seconds."""
        log_tail = self.log_tail() if self._error is None else ""
        if self._error is None and patience_s and _is_ready(self._life, patience_s):
            self.receive()
        self.end()
        cause, error = self._how_it_ended(log_tail)
        return WorkerExit(cause, error, None, log_tail or last_lines(str(self._error or "")))

    def log_tail(self) -> str:
        """Return the last lines that the actor printed; "" if it has exited or does not answer."""
        with suppress(RayError, GetTimeoutError):
            return str(ray.get(self._ask_about(), timeout=PATIENCE_S)[2])
        return ""

    def _ask_about(self) -> Any:
        return self._actor.about.options(concurrency_group=CONCURRENT).remote()

    def _how_it_ended(self, log_tail: str) -> tuple[Cause, str]:
        where, message = f" on {self.host}" if self.host else "", str(self._error or "")
        if isinstance(self._error, OutOfMemoryError) or reports_out_of_memory(message + log_tail):
            return Cause.OUT_OF_MEMORY, f"the worker{where} ran out of memory"
        if isinstance(self._error, RayTaskError):
            return Cause.KILLED, f"the worker{where} ended with {last_lines(message).splitlines()[-1]}"
        if isinstance(self._error, ActorDiedError) and any(text in message for text in LOST_NODE_TEXTS):
            return Cause.KILLED, f"the node{where} of the worker was lost"
        return Cause.KILLED, f"the worker{where} died"


def _is_ready(reference: Any, timeout_s: float = 0.0) -> bool:
    return bool(ray.wait([reference], timeout=timeout_s)[0])
