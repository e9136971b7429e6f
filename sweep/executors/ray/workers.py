"""Run workers as Ray actors, on any node of the cluster."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray

from sweep.data import PoolKey, RawPool
from sweep.executors.handle import SECRETS
from sweep.executors.pool import MEMORY_TO_SHARE, POLL_S, Resources, Workers
from sweep.executors.ray.cluster import LOCAL, WorkerResources, choose_workers, connected, memory_bytes, nodes
from sweep.executors.ray.host import versions
from sweep.executors.ray.watch import LOCAL_PATIENCE_S, PATIENCE_S, RayWatch
from sweep.executors.ray.worker import RayWorker
from sweep.text import counted

ROOM_S = 40.0  # time to place a new worker; Ray needs 15 s to notice a lost node, and may choose that node before
PASSED_ON = ("KERAS_", "SWEEP_", "TF_", "XLA_", "JAX_")  # prefixes of environment variables that workers get


class RayWorkers(Workers):
    """Workers that are actors of a Ray cluster. Create it while connected to the cluster.

    A worker that was lost with its node is started on another node. If no CPU is free there, it shares the CPUs of the
    other workers.

    Args:
        num_workers: Number of workers.
        request: The resources of each worker.
        pools: Raw images, which are put into the cluster's memory once, for all workers and trials.
        num_retries: How often a run is retried whose worker exited.
        trial_timeout_s: Training time allowed for each attempt in seconds. Default: no limit.
        pause: Called several times a second; may raise to interrupt.
        say: Called with each line for the user.
        patience_s: Time in seconds after which a lost process of Ray raises WorkersLost.
    """

    def __init__(
        self,
        num_workers: int,
        request: WorkerResources,
        pools: Mapping[PoolKey, RawPool],
        num_retries: int = 1,
        trial_timeout_s: float | None = None,
        pause: Callable[[], None] = lambda: None,
        say: Callable[[str], None] = print,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.resources = Resources(max(1, int(request.cpus)), memory_bytes(request))
        self.kind = f"an actor on a Ray of {counted(len(nodes()), 'node')}, with {request}"
        self._request, self._say = request, say
        self._arguments = (_environment(request), versions(), ray.put(dict(pools)))
        self._num_to_place = num_workers
        self._unplaced: list[RayWorker] = []
        self._waited_s = 0.0
        watch = RayWatch(patience_s)

        def pause_and_check() -> None:
            pause()
            watch.check()

        self._pause = pause_and_check
        super().__init__([self._start] * num_workers, num_retries, trial_timeout_s, pause_and_check)

    def wait_for(self, waitables: list[Any], timeout_s: float) -> list[Any]:
        """Wait until one of the Ray references is ready, or for the timeout; return those that are ready."""
        first, _ = ray.wait(waitables, num_returns=1, timeout=timeout_s)
        self._report_unplaced(0.0 if first else self._waited_s + timeout_s)
        return list(ray.wait(waitables, num_returns=len(waitables), timeout=0)[0]) if first else []

    def _report_unplaced(self, waited_s: float) -> None:
        """Print once that workers wait for resources, which other users of the cluster may hold."""
        if self._waited_s < ROOM_S <= waited_s:
            self._unplaced = [worker for worker in self._unplaced if not worker.is_placed()]
            if self._unplaced:
                self._say(f"{len(self._unplaced)} of {self.num_workers} workers wait for {self._request} each")
        self._waited_s = waited_s

    def _start(self) -> RayWorker:
        """Start a worker. Only for a replacement, whose node may be lost, wait until it is placed."""
        worker = RayWorker(self._request, *self._arguments)
        self._unplaced.append(worker)
        if self._num_to_place:
            self._num_to_place -= 1
            return worker
        for _ in range(round(ROOM_S / POLL_S)):
            if worker.is_placed(POLL_S):
                return worker
            self._pause()
        if self._request.gpus:
            return worker
        worker.end()
        self._unplaced.remove(worker)
        self._say("no CPU of the cluster is free for the replacement of a lost worker; it shares those of the others")
        return RayWorker(WorkerResources(0), *self._arguments)


@contextmanager
def ray_workers(
    address: str,
    requested: tuple[int | None, int | None, float | None],
    pools: Mapping[PoolKey, RawPool],
    *options: Any,
) -> Iterator[RayWorkers]:
    """Start workers on a Ray cluster.

    Args:
        address: The cluster; see `connected`.
        requested: Arguments of `choose_workers`: number of workers, CPUs and GPUs of each.
        pools: Raw images of the data sources by key.
        options: Further arguments of `RayWorkers`.

    Yields:
        The workers.

    Raises:
        InputError: The cluster cannot be reached, or has too few resources.
        WorkersLost: The cluster was lost in the body.
    """
    patience_s = LOCAL_PATIENCE_S if address == LOCAL else PATIENCE_S
    with connected(address), RayWorkers(*choose_workers(*requested), pools, *options, patience_s=patience_s) as workers:
        yield workers


def _environment(request: WorkerResources) -> dict[str, str]:
    """Return environment variables for a worker: those of this process that affect training, and JAX's GPU share."""
    passed = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON) and name not in SECRETS}
    if 0 < request.gpus < 1:
        passed.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{MEMORY_TO_SHARE * request.gpus:.3f}")
    return passed
