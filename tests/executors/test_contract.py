"""Every executor of ours fulfils the contract."""

import pytest
from ray_nodes import make_ray_workers

from sweep.executors.in_process import InProcessExecutor
from sweep.executors.local.workers import LocalWorkers
from sweep.testing.executor import ExecutorContract
from sweep.testing.failing_engine import NAME, FailingEngine


class TestInProcess(ExecutorContract):
    def make_executor(self, num_lanes):
        return InProcessExecutor(FailingEngine(num_lanes))


class TestLocalWorkers(ExecutorContract):
    def make_executor(self, num_lanes):
        workers = LocalWorkers([{}])
        workers.make(NAME, num_lanes, 1)
        return workers


@pytest.mark.ray
@pytest.mark.usefixtures("ray_of_two_nodes")
class TestRay(ExecutorContract):
    def make_executor(self, num_lanes):
        return make_ray_workers(1, NAME, num_lanes)
