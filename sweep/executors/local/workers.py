"""Workers that are processes of this machine."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from sweep.engines.auto import host_memory_bytes
from sweep.executors.local.process import WorkerProcess
from sweep.executors.pool import Resources, Workers


class LocalWorkers(Workers):
    """A worker for each of the `environments`, which add to this process's own."""

    kind = "a process of this machine"

    def __init__(
        self,
        environments: Sequence[Mapping[str, str]],
        num_retries: int = 1,
        trial_timeout_s: float | None = None,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        """An equal share of the machine for each; `pause` is called all the time, and may raise."""
        self.resources = Resources(
            max(1, (os.cpu_count() or 1) // len(environments)), host_memory_bytes() // len(environments)
        )
        starts = [partial(WorkerProcess, environment) for environment in environments]
        super().__init__(starts, num_retries, trial_timeout_s, pause)

    def wait_for(self, waitables: list[Any], timeout_s: float) -> list[Any]:
        """Wait for pipes and process handles."""
        return [*wait(waitables, timeout_s)]
