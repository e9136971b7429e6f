"""Many trials at once, as lanes of one compiled program for each structure; a freed lane is refilled at the next epoch.

Each lane keeps its own steps, schedule, epoch, seed, minibatch order and early stopping, and follows the trajectory
that the sequential engine gives for its config. What lanes must share is their `Structure`; lanes of other structures
run through other programs side by side. A config that lanes cannot train (see `lane_support`), and one whose images are
streamed from their file, is trained in its lane as there.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.engines.backends import current_backend
from sweep.engines.backends.base import LaneProgram
from sweep.engines.base import Outcome
from sweep.engines.packed.grouping import Group, group_lanes
from sweep.engines.packed.run import LaneRun, TrainedEpoch, train_together
from sweep.engines.packed.structure import Structure, structure_of
from sweep.engines.placed import Arrays, ImageStore, Placed
from sweep.engines.predictions import Predictions
from sweep.engines.sequential import IMAGES_PER_CALL, TrainingRun
from sweep.engines.weak_lru_cache import WeakLruCache
from sweep.errors import ends_process, is_out_of_memory
from sweep.models.lane_kernel import Widths
from sweep.models.lane_support import without_lanes

POLL_S = 0.2  # between looks at `pause` while lanes train
MAX_IDLE_PROGRAMS = 32  # compiled, and of no lane: a later trial may be of their structure
MAX_IDLE_PREPARED = 1


Trained = tuple[TrainedEpoch, float] | Exception  # of a lane: what its epoch gave, in so many seconds; or what ended it


class Stopped(Exception):
    """Ends a worker's epoch because the main thread was interrupted."""


class PackedEngine:
    """Follows the `Engine` protocol. `num_threads` groups of lanes train at a time, each on a thread."""

    def __init__(
        self,
        num_lanes: int = 1,
        num_threads: int = 1,
        pause: Callable[[], None] = lambda: None,
        widest: Sequence[Widths] = (),
    ) -> None:
        """`pause` is called several times a second and may raise.

        `widest` are the widths that arrays are padded to where widths are not free (JAX), for each number of layers,
        so that all lanes fit one program.
        """
        self.num_lanes = num_lanes
        self._num_threads, self._pause, self._widest = num_threads, pause, widest
        self._backend = current_backend()
        self._lanes_per_call = min(self._backend.lanes_per_call(), num_lanes)
        self._store = ImageStore(self._backend)
        self._prepared: WeakLruCache[Any, Arrays] = WeakLruCache(MAX_IDLE_PREPARED)
        self._programs: WeakLruCache[Structure, LaneProgram] = WeakLruCache(MAX_IDLE_PROGRAMS)
        self._runs: dict[int, LaneRun | TrainingRun] = {}
        self._is_stopping = threading.Event()

    @property
    def num_compilations(self) -> int:
        """How often a program was compiled so far."""
        return sum(program.num_compilations for program in self._programs.values())

    def admit(self, lane: int, config: TrialConfig) -> None:
        """Load the data, draw initial weights; compiles nothing."""
        if lane in self._runs or not 0 <= lane < self.num_lanes:
            raise ValueError(f"lane {lane} is not free")
        dataset = load(config.data)
        placed = self._store.place(dataset)
        if placed.is_streamed or without_lanes(config) is not None:
            self._runs[lane] = TrainingRun(config, dataset, placed, (), self._pause)
        else:
            own, widths = structure_of(config, dataset), config.model.lane_widths
            structure = self._backend.fitted(own, dataset, widths, self._widest)
            program = self._programs.get(structure, lambda: self._backend.lane_program(structure, IMAGES_PER_CALL))
            self._runs[lane] = LaneRun(config, dataset, structure, program, placed, self._input(structure, placed))

    def evict(self, lane: int) -> None:
        """Forget the run."""
        run = self._runs.pop(lane, None)
        if run is not None:
            run.end()
            if isinstance(run, LaneRun):
                run.release()

    def train_epoch(self, lanes: Collection[int] | None = None) -> dict[int, Outcome]:
        """One epoch of training and validation on every live lane (of `lanes`), or what ended its run."""
        chosen = self._runs.keys() if lanes is None else lanes
        live = {lane: run for lane, run in sorted(self._runs.items()) if lane in chosen and not run.is_over}
        waiting = {lane: run for lane, run in live.items() if isinstance(run, LaneRun)}
        trained: dict[int, Trained] = {}
        while waiting:
            trained |= self._train_lanes(waiting)
            lacking = {lane: run for lane, run in waiting.items() if _lacks_memory(trained[lane])}
            waiting = lacking if lacking and self._take_less_at_once() else {}
        return {lane: _outcome(run, trained.get(lane)) for lane, run in live.items()}

    def model(self, lane: int) -> Any:
        """A compiled `keras.Model` with the lane's weights."""
        if lane not in self._runs:
            raise ValueError(f"lane {lane} is free")
        run = self._runs[lane]
        return run.model() if isinstance(run, LaneRun) else run.model

    def predictions(self, lane: int) -> Predictions:
        """What the lane's model predicts for the validation images with its current weights."""
        if lane not in self._runs:
            raise ValueError(f"lane {lane} is free")
        run = self._runs[lane]
        return run.predictions(self._pause) if isinstance(run, LaneRun) else run.predictions()

    def _input(self, structure: Structure, placed: Placed) -> Arrays:
        """What the program's minibatches come from."""
        arrays, kernel = placed.arrays, structure.kernel
        if kernel.input_key is None:
            return arrays
        key = arrays, kernel.input_key
        return self._prepared.get(key, lambda: Arrays(kernel.prepared(arrays.images), arrays.labels))

    # ---- an epoch ----

    def _train_lanes(self, runs: dict[int, LaneRun]) -> dict[int, Trained]:
        keys, costs = ({lane: getattr(run, name) for lane, run in runs.items()} for name in ("key", "cost"))
        groups = group_lanes(keys, costs, self._lanes_per_call)
        self._is_stopping.clear()
        with ThreadPoolExecutor(self._num_threads) as threads:
            futures = [
                threads.submit(self._train_group, group, [runs[lane] for lane in group.lanes]) for group in groups
            ]
            self._wait(futures)
        return {lane: outcome for future in futures for lane, outcome in future.result().items()}

    def _wait(self, futures: Sequence[Future[Any]]) -> None:
        """Until all are done. What `pause` raises is raised when the calls on the device are through."""
        try:
            while wait(futures, timeout=POLL_S).not_done:
                self._pause()
            self._pause()
        except BaseException:
            self._is_stopping.set()
            for future in futures:
                future.cancel()  # those that wait for a thread
            raise

    def _train_group(self, group: Group, runs: Sequence[LaneRun]) -> dict[int, Trained]:
        """On a worker's thread."""
        started = time.perf_counter()
        try:
            epochs = train_together(runs, self._lanes_per_call, self._raise_if_stopping)
            seconds = time.perf_counter() - started
            return {lane: (epoch, seconds) for lane, epoch in zip(group.lanes, epochs, strict=True)}
        except Exception as error:
            return dict.fromkeys(group.lanes, error)

    def _raise_if_stopping(self) -> None:
        if self._is_stopping.is_set():
            raise Stopped

    # ---- memory ----

    def _take_less_at_once(self) -> bool:
        """After a lack of memory: half the lanes at once; False if it was one already."""
        if self._lanes_per_call > 1:
            self._lanes_per_call //= 2
        elif self._num_threads > 1:
            self._num_threads //= 2
        else:
            return False
        return True


def _lacks_memory(trained: Trained) -> bool:
    return isinstance(trained, BaseException) and is_out_of_memory(trained)


def _outcome(run: LaneRun | TrainingRun, trained: Trained | None) -> Outcome:
    """On the main thread, as a user's metrics need not be made for others."""
    if isinstance(trained, BaseException):
        return trained
    try:
        if isinstance(run, TrainingRun):
            return run.train_epoch()
        assert trained is not None
        return run.epoch_done(*trained)
    except BaseException as error:  # a user's model or metric may raise anything
        if ends_process(error):
            raise
        return error
