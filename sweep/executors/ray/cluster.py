"""Connect to a Ray cluster or start one, and choose how many workers it can host."""

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # read by the import; sweep reports lost workers itself
import ray
from ray.exceptions import RayError

from sweep.errors import InputError, WorkersLost
from sweep.executors.handle import SECRETS
from sweep.text import counted, first_line

ANSWER_S = 5.0  # time for a cluster to accept a connection
LOCAL = "local"  # address of a Ray cluster that is started here and stopped with the sweep


@dataclass(frozen=True)
class WorkerResources:
    """The resources that a worker requests from the cluster; a fraction of a GPU is shared with other workers."""

    cpus: int
    gpus: float = 0.0

    def __str__(self) -> str:
        """Return text such as `2 CPUs and 0.5 GPUs`."""
        return counted(self.cpus, "CPU") + (f" and {counted(self.gpus, 'GPU')}" if self.gpus else "")


@dataclass(frozen=True)
class Node:
    """The resources of a node of the cluster."""

    cpus: float
    gpus: float
    memory_bytes: int

    def room(self, request: WorkerResources) -> int:
        """Return how many workers with these resources fit."""
        fitting = self.cpus // request.cpus
        return int(min(fitting, (self.gpus + 1e-9) // request.gpus) if request.gpus else fitting)


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connect to a Ray cluster as a driver while the body runs.

    Ray inherits the environment without `SECRETS`, and the sweep's signal handlers, which Ray replaces, are restored.

    Args:
        address: `auto`, `host:port`, or `LOCAL` to start a cluster.

    Raises:
        InputError: The cluster cannot be reached.
        WorkersLost: The connection was lost in the body.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    secrets = {name: os.environ.pop(name) for name in SECRETS if name in os.environ}
    try:
        _connect(address)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        hint = "does `ray status` show one there? One with tokens needs RAY_AUTH_MODE=token here too"
        raise InputError(f"--ray {address}: {first_line(error)}; {hint}") from None
    finally:
        os.environ.update(secrets)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    try:
        yield
    except (RayError, ConnectionError) as error:
        if isinstance(error, BrokenPipeError):  # stdout was closed; not an error of Ray
            raise
        raise WorkersLost(f"--ray {address}: {first_line(error)}; run the same command to resume") from None
    finally:
        ray.shutdown()


def nodes() -> list[Node]:
    """Return the nodes that are alive and have a CPU."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    return [Node(has["CPU"], has.get("GPU", 0.0), int(has.get("memory", 0))) for has in alive]


def choose_workers(num_workers: int | None, cpus: int | None, gpus: float | None) -> tuple[int, WorkerResources]:
    """Choose the number of workers and the resources of each.

    Args:
        num_workers: The requested number. Default: as many as the GPUs allow, or without GPUs as many as fit.
        cpus: CPUs of each worker. Default: an equal share, or all CPUs of the smallest node without `num_workers`.
        gpus: GPUs of each worker. Default: 0.

    Returns:
        The number of workers, and the resources of each.

    Raises:
        InputError: The cluster has too few resources.
    """
    alive = nodes()
    if num_workers is None and gpus:
        num_workers = sum(int((node.gpus + 1e-9) // gpus) for node in alive)
    if num_workers is None and cpus is None:
        cpus = int(min((node.cpus for node in alive), default=1))
    for each in [cpus] if cpus else _falling_cpus(alive, num_workers or 1):
        request = WorkerResources(each, gpus or 0.0)
        room = sum(node.room(request) for node in alive)
        if room and room >= (num_workers or 1):
            return num_workers or room, request
    has = WorkerResources(int(sum(node.cpus for node in alive)), sum(node.gpus for node in alive))
    wanted = f"{counted(num_workers or 1, 'worker')} of {WorkerResources(cpus or 1, gpus or 0.0)} each"
    on = counted(len(alive), "node")
    raise InputError(f"--ray: no room for {wanted}, the cluster has {has} on {on}; request less")


def memory_bytes(request: WorkerResources) -> int:
    """Return the memory of a worker in bytes: its share of a node's memory, by CPUs, on the node with the least."""
    return min(int(node.memory_bytes * request.cpus / node.cpus) for node in nodes())


def _falling_cpus(alive: list[Node], num_workers: int) -> range:
    """Return the numbers of CPUs per worker to try, from an equal share of all CPUs down to 1."""
    return range(max(1, int(sum(node.cpus for node in alive)) // max(1, num_workers)), 0, -1)


def _connect(address: str) -> None:
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator:  # Ray would retry for minutes
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)
    ray._private.worker.print_to_stdstream = lambda *_, **__: None  # hides the raylet's log; sweep reports the error
    ray._private.utils.get_entrypoint_name = lambda: "sweep run"  # the command line could contain the database's URL
    options = {"include_dashboard": False} if address == LOCAL else {}
    ray.init(address=address, log_to_driver=False, configure_logging=False, **options)
