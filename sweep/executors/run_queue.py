"""Train a list of runs on the lanes of an executor: for `confirm`, `retrain` and `verify`."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sweep.config.function import RunConfig
from sweep.engines.base import EpochRecord
from sweep.errors import SweepError
from sweep.executors.base import EpochDone, Event, Executor, LaneLost, LaneRetried
from sweep.executors.lanes import Lanes

Key = TypeVar("Key")


@dataclass(eq=False)
class QueuedRun(Generic[Key]):
    """A config to train, and its epochs so far.

    Attributes:
        key: Identifies the run for the caller.
        name: Name of the run for the user.
        config: The config.
        num_epochs: Number of epochs after which it is stopped; None to train all of its config.
        history: The epochs so far.
        lost: Why it failed; None if it has not.
    """

    key: Key
    name: str
    config: RunConfig
    num_epochs: int | None = None
    history: list[EpochRecord] = field(default_factory=list)
    lost: LaneLost | None = None

    @property
    def is_over(self) -> bool:
        """Return whether the run has ended: all epochs are trained, a loss is not finite, or it failed."""
        if self.lost is not None or not self.history:
            return self.lost is not None
        last = self.history[-1]
        return last.is_last or last.not_finite() is not None or len(self.history) == self.num_epochs

    def raise_if_lost(self) -> None:
        """Raise SweepError with the end of the traceback if the run failed."""
        if self.lost is not None:
            raise SweepError("\n".join(filter(None, (self.lost.error, self.lost.traceback_tail))))

    def follow(self, event: Event) -> None:
        """Record an event of the run's lane."""
        if isinstance(event, EpochDone):
            self.history.append(event.metrics)
        elif isinstance(event, LaneLost):
            self.lost = event


class RunQueue(Generic[Key]):
    """Train runs concurrently on all lanes; the others wait in their order for a free lane."""

    def __init__(
        self,
        executor: Executor,
        runs: Iterable[QueuedRun[Key]],
        *,
        check: Callable[[], None] = lambda: None,
        notice: Callable[[str], None] = lambda _: None,
        max_lanes: int | None = None,
        keeps_models: bool = False,
    ) -> None:
        """Queue the runs; `rounds` trains them.

        Args:
            executor: Trains the runs; the caller closes it.
            runs: The runs in their order.
            check: Called before each round; may raise to interrupt.
            notice: Called with a line for the user when a worker exited and a run is repeated.
            max_lanes: Maximum number of lanes to use. Default: all.
            keeps_models: Whether `model` will be called.

        """
        self._lanes: Lanes[QueuedRun[Key]] = Lanes(executor)
        self._waiting = deque(runs)
        self._check, self._notice, self._max_lanes, self._keeps_models = check, notice, max_lanes, keeps_models

    def rounds(self) -> Iterator[list[QueuedRun[Key]]]:
        """Train all runs. Yield, for each round, the runs that completed an epoch or failed.

        Lanes of runs that have ended are freed when the next round is requested.
        """
        for events in self._lanes.rounds(self._fill, self._check):
            for run, event in events:
                run.follow(event)
                if isinstance(event, LaneRetried):
                    self._notice(f"{run.name}: {event.error}; attempt {event.attempt} repeats its epochs")
            changed = [run for run, event in events if isinstance(event, EpochDone | LaneLost)]
            yield changed
            for run in changed:
                if run.is_over:
                    self._lanes.free(run)

    def model(self, run: QueuedRun[Key]) -> Any:
        """Return the compiled `keras.Model`, with the kept weights, of a run that ended in the current round."""
        return self._lanes.model(run)

    def _fill(self) -> None:
        while self._waiting and self._lanes.num_free > 0 and len(self._lanes) != self._max_lanes:
            run = self._waiting.popleft()
            self._lanes.take(run)
            self._lanes.start(run, run.config, keeps="model" if self._keeps_models else "")
