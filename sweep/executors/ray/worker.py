"""A worker in an actor of Ray, as the launcher sees it: a `WorkerHandle` over Ray's calls."""

from collections import deque
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import ActorDiedError, GetTimeoutError, OutOfMemoryError, RayError, RayTaskError

from sweep.errors import Cause
from sweep.executors.handle import PATIENCE_S, WorkerExit, is_of_no_memory, last_lines
from sweep.executors.messages import decode, encode
from sweep.executors.ray.cluster import Place
from sweep.executors.ray.host import WorkerHost

START_S = 120.0  # that an actor may take to say who it is
BESIDE = "beside"  # the threads of calls that are answered while a lane trains
WORDS_OF_LOST_NODE = ("node has died", "node is dead", "node was dead", "node failure")


class RayWorker:
    """An actor, its calls in order. Ray restarts nothing: what a death means is the slot's to judge."""

    def __init__(self, place: Place, *arguments: Any) -> None:
        """`arguments` are those of `WorkerHost`."""
        options = {"num_cpus": place.cpus, "num_gpus": place.gpus, "max_restarts": 0, "max_task_retries": 0}
        hosted = ray.remote(concurrency_groups={BESIDE: 2})(WorkerHost)
        self._actor = hosted.options(**options, scheduling_strategy="SPREAD").remote(*arguments)
        self._life = self._actor.live.options(concurrency_group=BESIDE).remote()
        self._about = self._ask_about()
        self._answers: deque[Any] = deque()  # of the calls that were made, in their order
        self._death: RayError | None = None
        self.host = ""

    @property
    def pid(self) -> int:
        """Return the id of its process on its host."""
        return int(ray.get(self._about, timeout=START_S)[1])

    def is_placed(self, timeout_s: float = 0.0) -> bool:
        """Return whether the cluster has found a node for it within this time."""
        return _is_ready(self._about, timeout_s)

    @property
    def waitables(self) -> list[Any]:
        """Return the first awaited answer, and the end of the actor."""
        return [*list(self._answers)[:1], self._life]

    def send(self, **message: Any) -> None:
        """Send a call. That the actor has exited is noticed when its answer is awaited."""
        with suppress(RayError):
            self._answers.append(self._actor.do.remote(encode(message)))

    def receive(self) -> dict[str, Any] | None:
        """Return the answer that is ready, {} if there is none yet, None if the actor has exited."""
        try:
            while self._answers and _is_ready(self._answers[0]):
                answer = ray.get(self._answers.popleft())
                if answer is not None:
                    self.host = self.host or ray.get(self._about)[0]
                    return decode(answer)
            if _is_ready(self._life):
                ray.get(self._life)
        except RayError as error:
            self._death = error
            return None
        return {}

    def hang_up(self) -> None:
        """Kill it: an actor that trains hears nothing else."""
        with suppress(RayError):
            ray.kill(self._actor)

    def end(self) -> None:
        """Kill the actor; Ray ensures that it ends."""
        self.hang_up()

    def reap(self, *, patience_s: float = PATIENCE_S) -> WorkerExit:
        """Return how the actor ended; one that is alive is killed."""
        log_tail = self.log_tail() if self._death is None else ""
        if self._death is None and patience_s and _is_ready(self._life, patience_s):
            self.receive()
        self.end()
        cause, error = self._how_it_ended(log_tail)
        return WorkerExit(cause, error, None, log_tail or last_lines(str(self._death or "")))

    def log_tail(self) -> str:
        """Return what it printed last; "" if it has exited or does not answer."""
        with suppress(RayError, GetTimeoutError):
            return str(ray.get(self._ask_about(), timeout=PATIENCE_S)[2])
        return ""

    def _ask_about(self) -> Any:
        return self._actor.about.options(concurrency_group=BESIDE).remote()

    def _how_it_ended(self, log_tail: str) -> tuple[Cause, str]:
        where, said = f" on {self.host}" if self.host else "", str(self._death or "")
        if isinstance(self._death, OutOfMemoryError) or is_of_no_memory(said + log_tail):
            return Cause.OUT_OF_MEMORY, f"the worker{where} ran out of memory"
        if isinstance(self._death, RayTaskError):
            return Cause.KILLED, f"the worker{where} ended with {last_lines(said).splitlines()[-1]}"
        if isinstance(self._death, ActorDiedError) and any(words in said for words in WORDS_OF_LOST_NODE):
            return Cause.KILLED, f"the node{where} of the worker was lost"
        return Cause.KILLED, f"the worker{where} died"


def _is_ready(reference: Any, timeout_s: float = 0.0) -> bool:
    return bool(ray.wait([reference], timeout=timeout_s)[0])
