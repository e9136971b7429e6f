"""Actors and nodes of a Ray die; what they trained goes on elsewhere, exactly as with local workers."""

import os
import signal
import time

import pytest
import ray
from executor_runs import curve, make_config, run_to_the_end
from failing_engines import MARKS
from ray_nodes import make_ray_workers

from sweep.errors import Cause, InputError, SweepStopped
from sweep.executors.base import EpochDone, LaneRetried
from sweep.executors.ray import cluster as ray_cluster
from sweep.executors.ray import host as ray_host
from sweep.executors.ray import workers as ray_workers
from sweep.executors.ray.cluster import Node, WorkerResources, choose_workers

ENGINE = "failing_engines:FailingEngine"


@pytest.fixture
def make_workers(ray_of_two_nodes, tmp_path, monkeypatch):
    made = []
    monkeypatch.setenv(MARKS, str(tmp_path))

    def make(num_workers=1, num_lanes=1, engine=ENGINE, **options):
        made.append(make_ray_workers(num_workers, engine, num_lanes, **options))
        return made[-1]

    yield make
    for workers in made:
        workers.close()


def test_run_whose_actor_is_killed_goes_on_and_tells_each_epoch_once(make_workers):
    workers, config = make_workers(2), make_config()
    workers.start(0, config)
    workers.start(1, config)
    events = workers.wait()
    os.kill(workers.pids[1], signal.SIGKILL)
    events += [event for _ in range(2) for event in workers.wait()]
    for lane in (0, 1):
        told = [event.metrics for event in events if isinstance(event, EpochDone) and event.lane == lane]
        assert told == curve(config)
    (retried,) = [event for event in events if isinstance(event, LaneRetried)]
    assert (retried.lane, retried.attempt, retried.cause) == (1, 2, Cause.KILLED)
    assert retried.error.startswith("the worker on ")
    assert retried.error.endswith(" died")


def test_actor_that_dies_between_rounds_is_not_held_against_the_run_that_follows(make_workers):
    workers = make_workers(num_retries=0)
    os.kill(workers.pids[0], signal.SIGKILL)
    time.sleep(1)
    assert run_to_the_end(workers, [make_config()])[:2] == ({0: curve(make_config())}, {})


def test_of_many_lanes_the_one_that_kills_its_actor_is_found_and_lost_alone(make_workers):
    configs = [make_config(), make_config(16), make_config(epochs=4)]
    told, lost, _ = run_to_the_end(make_workers(1, 3), configs)
    assert {lane: told[lane] for lane in (0, 2)} == {lane: curve(configs[lane]) for lane in (0, 2)}
    assert {lane: event.cause for lane, event in lost.items()} == {1: Cause.KILLED}
    assert lost[1].context.attempt >= 2
    assert lost[1].context.host


def test_loss_that_is_not_finite_comes_with_attempt_and_log(make_workers):
    workers = make_workers()
    workers.start(0, make_config(23))
    events = [event for _ in range(2) for event in workers.wait()]
    diverged = next(event for event in events if isinstance(event, EpochDone) and event.metrics.not_finite())
    assert diverged.context.attempt == 2
    assert "about to diverge" in diverged.context.log_tail


def test_run_that_hangs_once_is_tried_again_and_ends(make_workers):
    configs = [make_config(20, seed=3), make_config()]
    told, lost, retried = run_to_the_end(make_workers(2, trial_timeout_s=1.0), configs)
    assert lost == {}
    assert told == {0: curve(configs[0]), 1: curve(configs[1])}
    assert [(event.lane, event.attempt, event.cause) for event in retried] == [(0, 2, Cause.TIMEOUT)]


def test_run_that_fails_by_itself_is_not_tried_again(make_workers):
    _, lost, retried = run_to_the_end(make_workers(), [make_config(14)])
    assert lost[0].error == "ValueError: fourteen"
    assert retried == []


def test_workers_that_cannot_start_end_the_sweep_with_the_reason(make_workers):
    workers = make_workers(engine="os:abort")
    workers.start(0, make_config())
    with pytest.raises(SweepStopped, match=r"no worker could be started(.|\n)*takes no arguments"):
        workers.wait()


def test_node_with_another_version_is_refused_in_words(make_workers, monkeypatch):
    monkeypatch.setattr(ray_workers, "versions", lambda: {**ray_host.versions(), "keras": "2.0"})
    with pytest.raises(InputError, match=r"has keras 3\..*, this machine 2.0; install the same on all"):
        run_to_the_end(make_workers(), [make_config()])


def test_images_are_put_into_the_cluster_once(ray_of_two_nodes, monkeypatch):
    puts = []
    put = ray.put
    monkeypatch.setattr(ray, "put", lambda value: puts.append(value) or put(value))
    with make_ray_workers(2, "fake", 1) as workers:
        run_to_the_end(workers, [make_config(seed=seed) for seed in range(2)])
        os.kill(workers.pids[0], signal.SIGKILL)
        run_to_the_end(workers, [make_config(seed=seed) for seed in range(2)])
    assert len(puts) == 1


NODES = [Node(8, 2, 32 * 2**30), Node(4, 1, 8 * 2**30)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ((None, None, None), (3, WorkerResources(4))),  # a node's CPUs each, of the smaller node
        ((2, None, None), (2, WorkerResources(4))),  # 6 each do not fit the smaller node
        ((6, None, None), (6, WorkerResources(2))),
        ((None, 3, None), (3, WorkerResources(3))),
        ((None, None, 0.5), (6, WorkerResources(2, 0.5))),
        ((None, None, 1.0), (3, WorkerResources(4, 1.0))),
        ((1, None, 2.0), (1, WorkerResources(8, 2.0))),
    ],
)
def test_places_are_what_is_asked_and_fill_the_cluster_otherwise(asked, expected, monkeypatch):
    monkeypatch.setattr(ray_cluster, "nodes", lambda: NODES)
    assert choose_workers(*asked) == expected


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ((13, None, None), "no room for 13 workers of 1 CPU each, the cluster has 12 CPUs and 3 GPUs on 2 nodes"),
        ((None, 9, None), "no room for 1 worker of 9 CPUs each"),
        ((4, None, 1.0), "no room for 4 workers of 1 CPU and 1 GPU each"),
    ],
)
def test_more_than_the_cluster_has_is_refused_at_once(asked, message, monkeypatch):
    monkeypatch.setattr(ray_cluster, "nodes", lambda: NODES)
    with pytest.raises(InputError, match=message):
        choose_workers(*asked)
