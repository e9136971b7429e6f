"""The lanes of an executor, each with the job that it trains."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from sweep.config.function import RunConfig
from sweep.executors.base import Event, Executor

Job = TypeVar("Job")


class Lanes(Generic[Job]):
    """Start jobs on free lanes, and map events to their jobs. A job is compared by identity."""

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
        """Give the job the first free lane, on which nothing is trained before `start`."""
        lane = next(lane for lane in range(self._executor.num_lanes) if lane not in self._jobs)
        self._jobs[lane] = job

    def start(self, job: Job, config: RunConfig, *, keeps_model: bool = False) -> None:
        """Train a config on the job's lane, with `keeps_model` if `model` will be called."""
        self._executor.start(self._lane_of(job), config, keeps_model=keeps_model)

    def start_next(self, job: Job, config: RunConfig) -> None:
        """Train the next of a job's configs, on the same lane."""
        self._executor.stop(self._lane_of(job))
        self.start(job, config)

    def free(self, job: Job) -> None:
        """Free the lane of a job that has ended."""
        lane = self._lane_of(job)
        del self._jobs[lane]
        self._executor.stop(lane)

    def model(self, job: Job) -> Any:
        """Return the trained model of a job that has ended and still has its lane."""
        return self._executor.model(self._lane_of(job))

    def rounds(
        self, fill: Callable[[], None], check: Callable[[], None] = lambda: None
    ) -> Iterator[list[tuple[Job, Event]]]:
        """Fill the lanes and train, round after round, until no lane is taken: the one loop of all commands.

        Args:
            fill: Gives free lanes to jobs and starts them. Whoever iterates frees the lanes of jobs that have ended.
            check: Called before each round; may raise.

        Yields:
            What a round brought: of each job an epoch, or its end.

        """
        while True:
            check()
            fill()
            if not self._jobs:
                return
            yield self._wait()

    def _wait(self) -> list[tuple[Job, Event]]:
        """What happened on the lanes that have a job."""
        return [(self._jobs[event.lane], event) for event in self._executor.wait() if event.lane in self._jobs]

    def on(self, lane: int) -> Job:
        """Return the job of a lane. Raise KeyError if it is free."""
        return self._jobs[lane]

    def _lane_of(self, job: Job) -> int:
        return next(lane for lane, other in self._jobs.items() if other is job)
