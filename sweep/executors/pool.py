"""Run engines in workers, local or remote. If a worker exits, its runs continue in a new one.

A round is an epoch of every lane of every worker, as in one process. So a study does not depend on which worker is
faster, and a resumed study equals an uninterrupted one. Lanes are assigned to workers in turn, lane 0 to the first.
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
from sweep.engines.predictions import Predictions
from sweep.executors.base import Event, Kept
from sweep.executors.handle import WorkerHandle
from sweep.executors.supervisor import WorkerSlot

MOST_RUNS = 10  # per worker of the sequential engine, which leaks about 5 MB for each run of digits; packed leaks none
MEMORY_TO_SHARE = 0.9  # fraction of a GPU's memory; the driver and the libraries use the rest
POLL_S = 0.2  # longest wait between two calls of `pause`


@dataclass(frozen=True)
class Resources:
    """The resources of a worker.

    Attributes:
        threads: Number of CPU threads.
        memory_bytes: Its share of the machine's memory.
    """

    threads: int
    memory_bytes: int


class Workers(ABC):
    """An executor on several workers, once `make` has created their engines. Use it as a context manager.

    Args:
        starts: A function for each worker that starts it, and again after it has exited.
        num_retries: How often a run is retried whose worker exited.
        trial_timeout_s: Training time allowed for each attempt in seconds. Default: no limit.
        pause: Called several times a second; may raise to interrupt.

    Attributes:
        resources: The resources of each worker.
        kind: What a worker is, for the user.
    """

    shares_process = False
    resources: Resources
    kind: str

    def __init__(
        self,
        starts: Sequence[Callable[[], WorkerHandle]],
        num_retries: int = 1,
        trial_timeout_s: float | None = None,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self.num_lanes = 0
        self._trial_timeout_s, self._pause = trial_timeout_s, pause
        self._slots = [WorkerSlot(start, num_retries, trial_timeout_s) for start in starts]

    @abstractmethod
    def wait_for(self, waitables: list[Any], timeout_s: float) -> list[Any]:
        """Wait until one of the workers' waitables is ready, or for the timeout; return those that are ready."""

    @property
    def num_workers(self) -> int:
        """Return the number of workers."""
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
        """Set up the device in every worker, and check user code and data there.

        Args:
            name: Name of the device; None for an engine without Keras.
            threads: Number of CPU threads of each worker.
            gpu_memory_gb: Limit on GPU memory in GiB. Default: no limit.
            operation_threads: Threads of one TensorFlow operation. Default: `threads`.
            onednn: Whether TensorFlow uses oneDNN; None for TensorFlow's default.
            code: User code to import, as `module:attribute`.
            data: Data configs with user sources, as values, with the expected content hashes.
            function: Arguments of `prepare_function` for an objective function.
            probed: Configs whose models and metrics the first worker tries; see `configs_to_probe`.

        Returns:
            The device of the first worker; None if `name` is None.

        Raises:
            InputError: A worker could not set up its device, or a check failed.
            SweepStopped: No worker could be started.
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
            self._receive_events()
        return Device(**self._slots[0].device) if name is not None else None

    def make(self, name: str, num_lanes: int, threads: int, widest: Sequence[Sequence[int]] = ()) -> None:
        """Create an engine in every worker.

        Workers of the sequential engine are replaced after some runs, as TensorFlow leaks memory for every model.

        Args:
            name: Name of the engine.
            num_lanes: Number of lanes of each worker.
            threads: Number of CPU threads of each worker.
            widest: Widths of the largest models of the space; see `make_engine`.
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

    def start(self, lane: int, config: RunConfig, *, keeps: Kept = "") -> None:
        """Start a run on a lane."""
        slot, own = self._slot_of(lane)
        slot.start(own, config, keeps=keeps)

    def stop(self, lane: int) -> None:
        """Free a lane."""
        slot, own = self._slot_of(lane)
        slot.stop(own)

    def wait(self) -> list[Event]:
        """Train an epoch of every lane with a run. Return an event for each, and events of retries."""
        events: list[Event] = []
        for slot in self._slots:
            slot.begin_round()
        while any(slot.is_due for slot in self._slots):
            for slot in self._slots:
                slot.request_epochs()
            events += self._receive_events()
            for number, slot in enumerate(self._slots):
                events += self._with_lane_numbers(number, slot.check_time())
        return events

    def answer_with(self, answer: Callable[[int, Suggestion], Answer]) -> None:
        """Set the function that answers questions of user functions in the workers."""
        for number, slot in enumerate(self._slots):
            slot.answer = partial(_answer_of_slot, answer, len(self._slots), number)

    def model(self, lane: int) -> Any:
        """Build the model in this process, with the weights that the worker sent with the last epoch."""
        from sweep.engines.saved_weights import decode_model

        slot, own = self._slot_of(lane)
        config, weights = slot.kept(own)
        assert isinstance(config, TrialConfig)  # a function has no model
        return decode_model(config, weights)

    def predictions(self, lane: int) -> Predictions | None:
        """Return what the worker sent with the last epoch."""
        slot, own = self._slot_of(lane)
        _, sent = slot.kept(own)
        return Predictions.decode(sent) if sent else None

    def close(self) -> None:
        """End the workers, even in the middle of an epoch."""
        for slot in self._slots:
            slot.worker.request_exit()
        for slot in self._slots:
            slot.worker.end()
        self._slots = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _slot_of(self, lane: int) -> tuple[WorkerSlot, int]:
        """Return the slot of a lane, and the lane's number in its worker."""
        return self._slots[lane % len(self._slots)], lane // len(self._slots)

    def _receive_events(self) -> list[Event]:
        """Wait a moment for answers. Return their events."""
        waitables = {waitable: number for number, slot in enumerate(self._slots) for waitable in slot.worker.waitables}
        ready = self.wait_for([*waitables], POLL_S)
        events = []
        for number in sorted({waitables[waitable] for waitable in ready}):
            events += self._with_lane_numbers(number, self._slots[number].receive_events())
        self._pause()
        return events

    def _with_lane_numbers(self, number: int, events: list[Event]) -> list[Event]:
        """Replace the lane numbers of a worker in its events by those of this executor."""
        return [replace(event, lane=event.lane * len(self._slots) + number) for event in events]


def _answer_of_slot(
    answer: Callable[[int, Suggestion], Answer], num_slots: int, number: int, lane: int, asked: Suggestion
) -> Answer:
    return answer(lane * num_slots + number, asked)
