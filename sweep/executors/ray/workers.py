"""Workers that are actors of Ray, on any node of its cluster."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray

from sweep.data import PoolKey, RawPool
from sweep.executors.handle import SECRETS
from sweep.executors.pool import MEMORY_TO_SHARE, POLL_S, Resources, Workers
from sweep.executors.ray.cluster import LOCAL, Place, choose_places, connected, memory_bytes, nodes
from sweep.executors.ray.host import versions
from sweep.executors.ray.watch import PATIENCE_AT_HOME_S, PATIENCE_S, RayWatch
from sweep.executors.ray.worker import RayWorker
from sweep.text import counted

ROOM_S = 40.0  # to find a place for a lost worker: Ray needs 15 to see that a node is dead, and may choose it till then
PASSED_ON = ("KERAS_", "SWEEP_", "TF_", "XLA_", "JAX_")  # of this process's environment


class RayWorkers(Workers):
    """So many workers of one `place` each. Call while connected to the cluster.

    A worker that was lost with its node comes to another one; where that has no CPU to spare it shares what there is.
    """

    def __init__(
        self,
        num_workers: int,
        place: Place,
        pools: Mapping[PoolKey, RawPool],
        num_retries: int = 1,
        trial_timeout_s: float | None = None,
        pause: Callable[[], None] = lambda: None,
        say: Callable[[str], None] = print,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """The images of `pools` are put into the cluster's memory once, for all workers and trials.

        Raises WorkersLost when the cluster's head, or Ray's process on this machine, is gone for `patience_s`.
        """
        self.resources = Resources(max(1, int(place.cpus)), memory_bytes(place))
        self.kind = f"an actor on a Ray of {counted(len(nodes()), 'node')}, with {place}"
        self._asked, self._say = place, say
        self._arguments = (_environment(place), versions(), ray.put(dict(pools)))
        self._num_to_place = num_workers
        self._unplaced: list[RayWorker] = []
        self._waited_s = 0.0
        watch = RayWatch(patience_s)

        def pause_and_look() -> None:
            pause()
            watch.check()

        self._pause = pause_and_look
        super().__init__([self._start] * num_workers, num_retries, trial_timeout_s, pause_and_look)

    def wait_for(self, waitables: list[Any], timeout_s: float) -> list[Any]:
        """Wait for Ray references."""
        first, _ = ray.wait(waitables, num_returns=1, timeout=timeout_s)
        self._say_if_crowded(0.0 if first else self._waited_s + timeout_s)
        return list(ray.wait(waitables, num_returns=len(waitables), timeout=0)[0]) if first else []

    def _say_if_crowded(self, waited_s: float) -> None:
        """Others may use the cluster too."""
        if self._waited_s < ROOM_S <= waited_s:
            self._unplaced = [worker for worker in self._unplaced if not worker.is_placed()]
            if self._unplaced:
                self._say(f"{len(self._unplaced)} of {self.num_workers} workers wait for a place with {self._asked}")
        self._waited_s = waited_s

    def _start(self) -> RayWorker:
        """Start a worker: the first ones without waiting for their placement, as only a replacement may lack a node."""
        worker = RayWorker(self._asked, *self._arguments)
        self._unplaced.append(worker)
        if self._num_to_place:
            self._num_to_place -= 1
            return worker
        for _ in range(round(ROOM_S / POLL_S)):
            if worker.is_placed(POLL_S):
                return worker
            self._pause()
        if self._asked.gpus:
            return worker
        worker.end()
        self._unplaced.remove(worker)
        self._say("the cluster has no CPU to spare for a lost worker: it shares those of the others")
        return RayWorker(Place(0), *self._arguments)


@contextmanager
def ray_workers(
    address: str, asked: tuple[int | None, int | None, float | None], pools: Mapping[PoolKey, RawPool], *options: Any
) -> Iterator[RayWorkers]:
    """Open workers on the Ray cluster of this address.

    Args:
        address: As of `connected`.
        asked: The request, see `choose_places`.
        pools: Images that workers take from the cluster's memory.
        options: Arguments of `RayWorkers`.
    """
    patience_s = PATIENCE_AT_HOME_S if address == LOCAL else PATIENCE_S
    with connected(address), RayWorkers(*choose_places(*asked), pools, *options, patience_s=patience_s) as workers:
        yield workers


def _environment(place: Place) -> dict[str, str]:
    """What of this process's environment says how to train; JAX's share of a GPU."""
    passed = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON) and name not in SECRETS}
    if 0 < place.gpus < 1:
        passed.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{MEMORY_TO_SHARE * place.gpus:.3f}")
    return passed
