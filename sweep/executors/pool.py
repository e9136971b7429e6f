"""Run engines in workers, local or remote. If a worker exits, its runs continue in another one.

A round is an epoch of every lane of every worker, as in one process: so a study does not depend on which worker was
faster, and a resumed one equals the unbroken one. Lanes are dealt out in turn, lane 0 to the first worker.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from sweep.config.function import RunConfig
from sweep.config.trial import TrialConfig
from sweep.engines.base import Answer, Suggestion
from sweep.engines.device import Device
from sweep.executors.base import Event
from sweep.executors.handle import WorkerHandle
from sweep.executors.supervisor import WorkerSlot

MOST_RUNS = 10  # of a sequential worker: 5 MB a digits trial were measured, 0 of the packed engine's
MEMORY_TO_SHARE = 0.9  # of a GPU: the rest is the driver's and the libraries' own
POLL_S = 0.2  # between looks at `pause` and the clock


@dataclass(frozen=True)
class Resources:
    """What of a machine is a worker's."""

    threads: int
    memory_bytes: int


class Workers(ABC):
    """Follows the `Executor` protocol, once `make` has received the engine that its workers host. A context manager."""

    shares_process = False
    resources: Resources  # of each worker
    kind: str  # of worker, for a user

    def __init__(
        self,
        starts: Sequence[Callable[[], WorkerHandle]],
        num_retries: int = 1,
        trial_timeout_s: float | None = None,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        """A worker for each of the `starts`, which start it, and again when it has died. `pause` may raise."""
        self.num_lanes = 0
        self._trial_timeout_s, self._pause = trial_timeout_s, pause
        self._slots = [WorkerSlot(start, num_retries, trial_timeout_s) for start in starts]

    @abstractmethod
    def wait_for(self, waitables: list[Any], timeout_s: float) -> list[Any]:
        """Return those of the workers' waitables that are ready, once one of them is or the timeout was reached."""

    @property
    def num_workers(self) -> int:
        """Return the processes; those that have exited are replaced."""
        return len(self._slots)

    @property
    def pids(self) -> list[int]:
        """Return the process ids of the current workers."""
        return [slot.worker.pid for slot in self._slots]

    def set_up(
        self,
        name: str | None,
        threads: int,
        gpu_memory_gb: float | None = None,
        *,
        operation_threads: int | None = None,
        onednn: bool | None = None,
        code: Sequence[str] = (),
        data: Sequence[tuple[dict[str, Any], str]] = (),
        function: dict[str, Any] | None = None,
        probed: Sequence[dict[str, Any]] = (),
    ) -> Device | None:
        """`set_up_device` in every worker; the first one's device, None without a name (an engine without Keras).

        A user's `code` is looked for there, a `function` by the arguments of
        `prepare_function`. The first worker tries
        models and metrics on `probed`, as of `configs_to_probe`. Each one reads what the user's data sources give:
        `data`, a config's values and its content hash.
        """
        for number, slot in enumerate(self._slots):
            slot.set_up(
                probed=[*probed] if number == 0 else [],
                path=sys.path,
                code=[*code],
                data=[*data],
                function=function,
                name=name,
                threads=threads,
                gpu_memory_gb=gpu_memory_gb,
                operation_threads=operation_threads or threads,
                onednn=onednn,
            )
        while self._slots[0].device is None:
            self._take()
        return Device(**self._slots[0].device) if name is not None else None

    def make(self, name: str, num_lanes: int, threads: int, widest: Sequence[Sequence[int]] = ()) -> None:
        """An engine of so many lanes in every worker; arguments as of `make_engine`.

        The sequential engine's workers are replaced now and then: TensorFlow keeps some megabytes of every model built.
        """
        if self._slots[0].device is None:
            self.set_up(None, threads)
        self.num_lanes = num_lanes * len(self._slots)
        for slot in self._slots:
            slot.make(
                name=name,
                num_lanes=num_lanes,
                threads=threads,
                widest=[[*widths] for widths in widest],
                trial_timeout_s=self._trial_timeout_s,
                most_runs=MOST_RUNS if name == "sequential" else None,
            )

    def start(self, lane: int, config: RunConfig, *, keeps_model: bool = False) -> None:
        """Send the config to the lane's worker."""
        slot, own = self._place(lane)
        slot.start(own, config, keeps_model=keeps_model)

    def stop(self, lane: int) -> None:
        """Free the lane in its worker."""
        slot, own = self._place(lane)
        slot.stop(own)

    def wait(self) -> list[Event]:
        """Return an epoch, or a loss, of every lane with a run, and what was retried meanwhile."""
        events: list[Event] = []
        for slot in self._slots:
            slot.begin_round()
        while any(slot.is_due for slot in self._slots):
            for slot in self._slots:
                slot.ask()
            events += self._take()
            for number, slot in enumerate(self._slots):
                events += self._named(number, slot.check_time())
        return events

    def answer_with(self, answer: Callable[[int, Suggestion], Answer]) -> None:
        """Have questions of the workers answered by this function."""
        for number, slot in enumerate(self._slots):
            slot.answer = partial(_answer_of_slot, answer, len(self._slots), number)

    def model(self, lane: int) -> Any:
        """Build the model in this process, with the weights that the worker sent with the last epoch."""
        from sweep.engines.saved_weights import decode_model

        slot, own = self._place(lane)
        config, weights = slot.trained(own)
        assert isinstance(config, TrialConfig)  # a function trains no model
        return decode_model(config, weights)

    def close(self) -> None:
        """End the workers, in the middle of an epoch too."""
        for slot in self._slots:
            slot.worker.hang_up()
        for slot in self._slots:
            slot.worker.end()
        self._slots = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _place(self, lane: int) -> tuple[WorkerSlot, int]:
        return self._slots[lane % len(self._slots)], lane // len(self._slots)

    def _take(self) -> list[Event]:
        """What happens in the next moment."""
        waitables = {waitable: number for number, slot in enumerate(self._slots) for waitable in slot.worker.waitables}
        ready = self.wait_for([*waitables], POLL_S)
        events = []
        for number in sorted({waitables[waitable] for waitable in ready}):
            events += self._named(number, self._slots[number].take())
        self._pause()
        return events

    def _named(self, number: int, events: list[Event]) -> list[Event]:
        """By the lane's number here."""
        return [replace(event, lane=event.lane * len(self._slots) + number) for event in events]


def _answer_of_slot(
    answer: Callable[[int, Suggestion], Answer], num_slots: int, number: int, lane: int, asked: Suggestion
) -> Answer:
    return answer(lane * num_slots + number, asked)
