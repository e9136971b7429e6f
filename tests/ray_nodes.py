"""A Ray of two nodes on this machine, each with a CPU for one worker."""

from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.cluster_utils import Cluster

from sweep.executors.ray.cluster import WorkerResources, connected
from sweep.executors.ray.workers import RayWorkers

OF_ONE_CPU = WorkerResources(1)
SEES_DEATH_SOON = {"health_check_period_ms": 1000, "health_check_failure_threshold": 4}  # of a node; else 15 s


@contextmanager
def two_nodes(**config: int) -> Iterator[Cluster]:
    """This process is a driver of it; `config` is Ray's own."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "_system_config": config})
    try:
        cluster.add_node(num_cpus=1)
        with connected(cluster.address):
            yield cluster
    finally:
        cluster.shutdown()


def make_ray_workers(num_workers: int, engine: str, num_lanes: int, **options: object) -> RayWorkers:
    """Workers that host a fake engine."""
    workers = RayWorkers(num_workers, OF_ONE_CPU, {}, **options)
    try:
        workers.make(engine, num_lanes, 1)
    except BaseException:
        workers.close()
        raise
    return workers


def node_of(worker_pid: int) -> str:
    """The id of the node that runs this process."""
    actors = ray._private.state.actors().values()
    return next(actor["Address"]["NodeID"] for actor in actors if actor["Pid"] == worker_pid)
