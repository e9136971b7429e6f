"""Which engine trains, and on how many lanes: the automatic choice, arithmetic on the space without Keras.

device           engine and lanes
---------------  ------------------------------------------------------------------------------------------------------
any              a family without lane kernel or known cost (a user's builder): sequential, one lane
CPU              packed, a lane on each thread: more lanes train no more images a second, and a round waits for all of
                 them; but sequential, where lanes would leave half of the threads idle and a training step is large
                 enough to occupy all of them
GPU, JAX         packed, 128 lanes: a step of all lanes is one batched product
GPU, TensorFlow  packed, one lane, as lanes would take turns

Never more lanes than the memory allows, memory / (2 * bytes a lane), nor, where scores decide what is asked or pruned,
than a quarter of the trials (but two): what runs side by side can neither learn from each other nor be compared.

threads    30 trials of TPE    30 random trials without a pruner
2          2                   2
16         7                   16
64         7                   30
"""

import os
from dataclasses import dataclass
from typing import Literal

from sweep.engines.backends import BACKENDS
from sweep.errors import InputError
from sweep.models.cost import TrialCost
from sweep.text import counted

DeviceKind = Literal["cpu", "gpu"]

ROUNDS = 4  # lanes are at most one of so many parts of the trials, where scores decide what comes next
LEAST_LANES = 2  # even so, as a few trials are too few to learn from
MEMORY_PARTS = 2  # lanes fill at most one of so many parts of the memory
LARGE_STEP_FLOPS = 200e6  # of a training step: below, a thread a lane beats all threads on one lane


@dataclass(frozen=True)
class Situation:
    """What the automatic choice depends on. No `cost`: it is unknown. No `memory_bytes`: unknown, no limit.

    `is_adaptive` says that scores decide what is asked or pruned; `without_lanes` names what lanes cannot train:
    see `sweep.models.lane_support`.
    """

    cost: TrialCost | None
    device_kind: DeviceKind
    threads: int
    memory_bytes: int | None
    num_trials: int
    keras_backend: str = "tensorflow"
    is_adaptive: bool = True
    without_lanes: tuple[str, ...] = ()

    def describe(self) -> str:
        """Device, and the size of the largest model: operations of a training step, memory."""
        where = self.device_kind if self.device_kind == "gpu" else f"cpu with {counted(self.threads, 'thread')}"
        if self.cost is None:
            return f"{where}; the size of {' and '.join(self.without_lanes) or 'a model'} is unknown"
        flops, megabytes = self.cost.step_flops / 1e6, self.cost.lane_bytes / 1e6
        operations = f"{flops:,.1f} million floating-point operations per training step"
        return f"{where}; up to {operations} and {megabytes:,.1f} MB per model"


@dataclass(frozen=True)
class EngineChoice:
    """An engine, its lanes, and why in some words."""

    engine: str
    num_lanes: int
    reason: str

    def line(self) -> str:
        """`engine: packed, 8 lanes (8 models at a time; why)`."""
        models = "" if self.engine == "function" else f"{counted(self.num_lanes, 'model')} at a time; "
        return f"engine: {self.engine}, {counted(self.num_lanes, 'lane')} ({models}{self.reason})"


def choose(situation: Situation, engine: str | None = None, num_lanes: int | None = None) -> EngineChoice:
    """What is asked for, and by the rule above what is None. InputError for lanes of the sequential engine.

    Several lanes, asked for, are the packed engine's. The fake engine has one unless more are asked for.
    """
    if engine == "sequential" and num_lanes is not None and num_lanes > 1:
        raise InputError(
            f"--lanes {num_lanes}: the sequential engine has a single lane; remove it, or use --engine packed"
        )
    lanes = num_lanes or (1 if engine == "fake" else most_lanes(situation))
    chosen = engine or ("packed" if (num_lanes or 1) > 1 else best_engine(situation, lanes))
    asked = [name for name, value in (("engine", engine), ("lanes", num_lanes)) if value is not None]
    reasons = [f"{' and '.join(asked)} as requested"] if asked else []
    if len(asked) < 2 and chosen != "fake":
        reasons.append(situation.describe())
    if engine is None and situation.without_lanes:
        reasons.append(f"not trained in lanes: {', '.join(situation.without_lanes)}")
    elif engine is None and chosen == "sequential" and situation.cost is not None:
        reasons.append(f"{counted(min(lanes, situation.num_trials), 'lane')} at most would be busy")
    if num_lanes is None and chosen == "packed" and lanes < _lanes_of_device(situation):
        trials = counted(situation.num_trials, "trial")
        reasons.append(f"at most a quarter of {trials}" if situation.is_adaptive else f"{trials} need no more lanes")
    return EngineChoice(chosen, 1 if chosen == "sequential" else lanes, "; ".join(reasons))


def best_engine(situation: Situation, num_lanes: int) -> str:
    """packed or sequential, were there so many lanes."""
    if situation.cost is None or situation.without_lanes:
        return "sequential"
    busy = min(num_lanes, situation.num_trials)
    leaves_threads_idle = situation.device_kind == "cpu" and 2 * busy <= situation.threads and situation.threads > 1
    return "sequential" if leaves_threads_idle and situation.cost.step_flops >= LARGE_STEP_FLOPS else "packed"


def most_lanes(situation: Situation) -> int:
    """How many lanes of the packed engine are of use, by the table above; one a thread where the cost is unknown."""
    return max(1, min(_lanes_of_device(situation), _lanes_for(situation)))


def _lanes_of_device(situation: Situation) -> int:
    """How many lanes device and memory have room for."""
    cost, wanted = situation.cost, situation.threads
    if situation.device_kind == "gpu" and cost is not None:
        wanted = BACKENDS[situation.keras_backend].lanes_on_gpu
    if cost is not None and situation.memory_bytes is not None:
        wanted = min(wanted, situation.memory_bytes // (MEMORY_PARTS * cost.lane_bytes))
    return max(1, wanted)


def _lanes_for(situation: Situation) -> int:
    """How many lanes the trials have work for."""
    most = max(LEAST_LANES, situation.num_trials // ROUNDS) if situation.is_adaptive else situation.num_trials
    return min(most, situation.num_trials)


def operation_threads(engine: str, threads: int) -> int:
    """Threads of one operation: the packed engine trains a lane on each thread, the others one lane on all."""
    return 1 if engine == "packed" else threads


def host_memory_bytes() -> int:
    """The machine's physical memory. What is free at the moment is no measure, as the system's caches give way."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
