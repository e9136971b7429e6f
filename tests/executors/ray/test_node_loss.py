"""A node of a Ray is lost: what was trained on it goes on on another one."""

import os
import signal

import pytest
from executor_runs import curve, make_config
from ray_nodes import SEES_DEATH_SOON, make_ray_workers, node_of, two_nodes

from sweep.executors.base import EpochDone, LaneRetried
from sweep.executors.ray import workers as ray_workers


@pytest.mark.ray
def test_run_goes_on_on_another_node_when_its_own_is_lost(monkeypatch):
    monkeypatch.setattr(ray_workers, "ROOM_S", 15.0)
    said, config = [], make_config(epochs=4)
    with two_nodes(**SEES_DEATH_SOON) as cluster, make_ray_workers(2, "fake", 1, say=said.append) as workers:
        workers.start(0, config)
        workers.start(1, config)
        events = workers.wait()
        node = next(iter(cluster.worker_nodes))
        pids = workers.pids
        on_it = next(lane for lane, pid in enumerate(pids) if node_of(pid) == node.node_id)
        cluster.remove_node(node, allow_graceful=False)
        os.kill(pids[on_it], signal.SIGKILL)  # with a real node, all its processes
        events += [event for _ in range(3) for event in workers.wait()]
        assert {node_of(pid) for pid in workers.pids} == {cluster.head_node.node_id}
    for lane in (0, 1):
        told = [event.metrics for event in events if isinstance(event, EpochDone) and event.lane == lane]
        assert told == curve(config)
    retried = [event for event in events if isinstance(event, LaneRetried)]
    assert {event.lane for event in retried} == {on_it}
    assert retried[0].attempt == 2
    assert sum("CPU" in line for line in said) == 1, said
