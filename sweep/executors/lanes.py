"""Assign jobs, such as trials, to the lanes of an executor."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from sweep.config.function import RunConfig
from sweep.engines.predictions import Predictions
from sweep.executors.base import Event, Executor, Kept

Job = TypeVar("Job")


class Lanes(Generic[Job]):
    """Start jobs on free lanes, and map events to jobs. Jobs are compared by identity."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._jobs: dict[int, Job] = {}  # by lane

    def __iter__(self) -> Iterator[Job]:
        """Iterate over the jobs on lanes, in the order in which they were started."""
        return iter([*self._jobs.values()])

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, job: Job) -> bool:
        return any(other is job for other in self._jobs.values())

    @property
    def num_free(self) -> int:
        """Return the number of lanes without a job."""
        return self._executor.num_lanes - len(self._jobs)

    def take(self, job: Job) -> None:
        """Reserve the first free lane for a job, which is not trained before `start`."""
        lane = next(lane for lane in range(self._executor.num_lanes) if lane not in self._jobs)
        self._jobs[lane] = job

    def start(self, job: Job, config: RunConfig, *, keeps: Kept = "") -> None:
        """Start a run on the job's lane.

        Args:
            job: A job that has a lane.
            config: The config to train.
            keeps: What will be asked for once the run has ended: its model, its predictions, or neither.
        """
        self._executor.start(self._lane_of(job), config, keeps=keeps)

    def start_next(self, job: Job, config: RunConfig, *, keeps: Kept = "") -> None:
        """Start the next run of a job on the same lane, after its last one has ended."""
        self._executor.stop(self._lane_of(job))
        self.start(job, config, keeps=keeps)

    def free(self, job: Job) -> None:
        """Free the lane of a job that has ended."""
        lane = self._lane_of(job)
        del self._jobs[lane]
        self._executor.stop(lane)

    def model(self, job: Job) -> Any:
        """Return the trained model of a job that has ended and still has its lane."""
        return self._executor.model(self._lane_of(job))

    def predictions(self, job: Job) -> Predictions | None:
        """Return the validation predictions of a job that has ended and still has its lane."""
        return self._executor.predictions(self._lane_of(job))

    def rounds(
        self, fill: Callable[[], None], check: Callable[[], None] = lambda: None
    ) -> Iterator[list[tuple[Job, Event]]]:
        """Fill free lanes and train, round by round, until no lane has a job. All commands that train use this loop.

        Args:
            fill: Assigns jobs to free lanes and starts them. The caller frees the lanes of jobs that have ended.
            check: Called before each round; may raise to interrupt.

        Yields:
            The events of a round with their jobs.

        """
        while True:
            check()
            fill()
            if not self._jobs:
                return
            yield self._wait()

    def _wait(self) -> list[tuple[Job, Event]]:
        """Return the executor's next events with their jobs, without those of lanes that were freed."""
        return [(self._jobs[event.lane], event) for event in self._executor.wait() if event.lane in self._jobs]

    def on(self, lane: int) -> Job:
        """Return the job of a lane. Raise KeyError if it is free."""
        return self._jobs[lane]

    def _lane_of(self, job: Job) -> int:
        return next(lane for lane, other in self._jobs.items() if other is job)
