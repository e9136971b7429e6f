"""Run workers as processes on this machine."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.connection import wait
from typing import Any

from sweep.engines.auto import host_memory_bytes
from sweep.executors.local.process import WorkerProcess
from sweep.executors.pool import Resources, Workers


class LocalWorkers(Workers):
    """Worker processes on this machine, each with an equal share of its CPU threads and memory.

    Args:
        environments: Environment variables for each worker, in addition to those of this process.
        num_retries: How often a run is retried whose worker exited.
        trial_timeout_s: Training time allowed for each attempt in seconds. Default: no limit.
        pause: Called several times a second; may raise to interrupt.
    """

    kind = "a process on this machine"

    def __init__(
        self,
        environments: Sequence[Mapping[str, str]],
        num_retries: int = 1,
        trial_timeout_s: float | None = None,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self.resources = Resources(
            max(1, (os.cpu_count() or 1) // len(environments)), host_memory_bytes() // len(environments)
        )
        starts = [partial(WorkerProcess, environment) for environment in environments]
        super().__init__(starts, num_retries, trial_timeout_s, pause)

    def wait_for(self, waitables: list[Any], timeout_s: float) -> list[Any]:
        """Wait until one of the pipes or process handles is ready, or for the timeout; return those that are ready."""
        return [*wait(waitables, timeout_s)]
