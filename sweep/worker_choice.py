"""How many workers there are, and what each sees of the machine.

Without GPUs the CPU threads are divided among `--workers N`. With `--gpus 0,1 --slots-per-gpu 2` there is a worker for
each slot, which sees one GPU and an equal share of its memory.
"""

import argparse
import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sweep.errors import DeviceError, InputError
from sweep.executors.local_workers import LocalWorkers

MEMORY_TO_SHARE = 0.9  # of a GPU: the rest is the driver's and the libraries' own
QUERY = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")


def num_workers_of(options: argparse.Namespace, stored: Mapping[str, Any]) -> int:
    """What the flags say, else what the study began with; 0 trains in this process. InputError if they contradict."""
    if options.slots_per_gpu is not None and not options.gpus:
        raise InputError("--slots-per-gpu: needs --gpus, as in --gpus 0,1")
    num_slots = len(options.gpus or ()) * (options.slots_per_gpu or 1)
    if options.gpus and options.device != "auto":
        raise InputError("--gpus chooses the devices; remove --device")
    if options.gpus and options.workers not in (None, num_slots):
        raise InputError(f"--workers {options.workers}: --gpus makes {num_slots}; remove --workers")
    num_workers = num_slots or options.workers
    if num_workers is None:
        num_workers = int(stored.get("num_workers", 0))
    if options.retries is not None and num_workers == 0:
        raise InputError("--retries: a trial is tried again by another worker; add --workers 1, or remove it")
    return num_workers


def start_workers(
    options: argparse.Namespace, num_workers: int, pause: Callable[[], None]
) -> AbstractContextManager[LocalWorkers | None]:
    """Their processes, which import meanwhile; None where this process trains."""
    if num_workers == 0:
        return nullcontext()
    environments = [{} for _ in range(num_workers)] if not options.gpus else gpu_environments(options)
    return LocalWorkers(environments, 1 if options.retries is None else options.retries, options.trial_timeout, pause)


def gpu_environments(options: argparse.Namespace) -> list[dict[str, str]]:
    """Of each worker: the one GPU that it sees, and JAX's share of its memory. Slots of a GPU are not neighbours."""
    share = MEMORY_TO_SHARE / (options.slots_per_gpu or 1)
    places = [gpu for _ in range(options.slots_per_gpu or 1) for gpu in options.gpus]
    return [{"CUDA_VISIBLE_DEVICES": gpu, "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{share:.3f}"} for gpu in places]


def gpu_memory_gb(options: argparse.Namespace) -> float | None:
    """The cap on a worker's GPU memory for TensorFlow: as asked, else its share of the smallest GPU's."""
    if options.gpu_memory_gb is not None or not options.gpus or (options.slots_per_gpu or 1) == 1:
        cap: float | None = options.gpu_memory_gb
        return cap
    if os.environ.get("KERAS_BACKEND") == "jax":
        return None  # a fraction, by its environment
    return MEMORY_TO_SHARE / int(options.slots_per_gpu) * min(_total_gb(gpu) for gpu in options.gpus)


def _total_gb(gpu: str) -> float:
    try:
        said = subprocess.run([*QUERY, f"--id={gpu}"], capture_output=True, text=True, check=True, timeout=30).stdout
        return float(said) / 1024
    except (OSError, subprocess.SubprocessError, ValueError):
        raise DeviceError(
            f"--gpus {gpu}: nvidia-smi does not say its memory; --gpu-memory-gb gives each worker its share"
        ) from None
