"""The Ray that hosts workers: found by its address or started here; how many workers it has room for."""

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # read at the import: of a lost worker we say what it means
import ray
from ray.exceptions import RayError

from sweep.errors import InputError, WorkersLost
from sweep.executors.handle import SECRETS
from sweep.text import counted, first_line

ANSWER_S = 5.0  # that a cluster has to accept a connection
LOCAL = "local"  # the address of a Ray that is started here and ends with the sweep


@dataclass(frozen=True)
class Place:
    """What a worker asks of the cluster; parts of a GPU are shared."""

    cpus: int
    gpus: float = 0.0

    def __str__(self) -> str:
        """Return a text such as `2 CPUs and 0.5 GPUs`."""
        return counted(self.cpus, "CPU") + (f" and {counted(self.gpus, 'GPU')}" if self.gpus else "")


@dataclass(frozen=True)
class Node:
    """What a node of the cluster has."""

    cpus: float
    gpus: float
    memory_bytes: int

    def room(self, place: Place) -> int:
        """Return how many workers fit."""
        fitting = self.cpus // place.cpus
        return int(min(fitting, (self.gpus + 1e-9) // place.gpus) if place.gpus else fitting)


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be a driver of this cluster. What Ray and its processes see of this one has no secrets. InputError without Ray.

    Ray takes over signals that are the sweep's: they are put back.
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
        if isinstance(error, BrokenPipeError):  # of an output that was closed
            raise
        raise WorkersLost(f"--ray {address}: {first_line(error)}; run the same command to resume") from None
    finally:
        ray.shutdown()


def nodes() -> list[Node]:
    """Return the nodes that are alive and have a CPU."""
    there = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    return [Node(has["CPU"], has.get("GPU", 0.0), int(has.get("memory", 0))) for has in there]


def choose_places(num_workers: int | None, cpus: int | None, gpus: float | None) -> tuple[int, Place]:
    """How many workers, and what each asks for, where that is not said. InputError if the cluster has no room.

    Without a number as many as there are GPUs for, else one on each node. Without CPUs an equal part of them.
    """
    there = nodes()
    if num_workers is None and gpus:
        num_workers = sum(int((node.gpus + 1e-9) // gpus) for node in there)
    if num_workers is None and cpus is None:
        cpus = int(min((node.cpus for node in there), default=1))
    for each in [cpus] if cpus else _falling(there, num_workers or 1):
        place = Place(each, gpus or 0.0)
        room = sum(node.room(place) for node in there)
        if room and room >= (num_workers or 1):
            return num_workers or room, place
    has = Place(int(sum(node.cpus for node in there)), sum(node.gpus for node in there))
    wanted = f"{counted(num_workers or 1, 'worker')} of {Place(cpus or 1, gpus or 0.0)} each"
    on = counted(len(there), "node")
    raise InputError(f"--ray: no room for {wanted}, the cluster has {has} on {on}; request less")


def memory_bytes(place: Place) -> int:
    """Return a worker's share of the node with the least memory for it."""
    return min(int(node.memory_bytes * place.cpus / node.cpus) for node in nodes())


def _falling(there: list[Node], num_workers: int) -> range:
    return range(max(1, int(sum(node.cpus for node in there)) // max(1, num_workers)), 0, -1)


def _connect(address: str) -> None:
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if separator:  # Ray itself would try for minutes
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)
    ray._private.worker.print_to_stdstream = lambda *_, **__: None  # pages of a raylet's log: what it means, we say
    ray._private.utils.get_entrypoint_name = lambda: "sweep run"  # what Ray would show of us may name the database
    options = {"include_dashboard": False} if address == LOCAL else {}
    ray.init(address=address, log_to_driver=False, configure_logging=False, **options)
