"""A Ray of two nodes on this machine, each with a CPU for one worker."""

from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.cluster_utils import Cluster

from sweep.executors.ray_cluster import Place, connected
from sweep.executors.ray_workers import RayWorkers

OF_ONE_CPU = Place(1)
SEES_DEATH_SOON = {  # of a node: in two seconds instead of fifteen
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
}


@contextmanager
def two_nodes() -> Iterator[Cluster]:
    """This process is a driver of it."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "_system_config": SEES_DEATH_SOON})
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
