"""How many workers there are, where, and what each sees of the machine.

Without GPUs the CPU threads are divided among `--workers N`. With `--gpus 0,1 --slots-per-gpu 2` there is a worker for
each slot, which sees one GPU and an equal share of its memory. With `--ray` they are actors on the nodes of a cluster.
"""

import argparse
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import Any

from sweep.data import PoolKey, RawPool, pool_key, read_pool
from sweep.engines.devices import NVIDIA_DRIVER
from sweep.errors import DeviceError, InputError
from sweep.executors.local.workers import LocalWorkers
from sweep.executors.pool import MEMORY_TO_SHARE, Workers
from sweep.space.space import Space

DEFAULT_RETRIES = 1
ADDRESS = re.compile(r"auto|local|(ray://)?[^\s/]+:\d+")

LISTING = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")
QUERY = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")


def num_workers_of(options: argparse.Namespace, stored: Mapping[str, Any]) -> int:
    """What the flags say, else what the study began with; InputError if they contradict.

    0 trains in this process, or on a Ray leaves the number to its nodes.
    """
    if options.ray is not None:
        return int(options.workers or stored.get("num_workers", 0))
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


def check_flags_of_ray(options: argparse.Namespace) -> None:
    """InputError for flags that contradict, and without Ray."""
    if options.ray is None:
        for flag, value in (
            ("--cpus-per-worker", options.cpus_per_worker),
            ("--gpus-per-worker", options.gpus_per_worker),
        ):
            if value is not None:
                raise InputError(f"{flag}: is asked of a cluster; add --ray, or remove it")
        return
    if not ADDRESS.fullmatch(options.ray):
        raise InputError(f"--ray {options.ray}: is no address; use auto or host:port, or put --ray last")
    if options.gpus or options.slots_per_gpu:
        raise InputError("--gpus counts those of this machine; with --ray use --gpus-per-worker 1, or 0.5 to share one")
    if options.workers == 0:
        raise InputError("--workers 0: with --ray something has to train; remove it")
    if find_spec("ray") is None:
        raise InputError("--ray: Ray is not installed; pip install 'sweep[ray]'")


def start_workers(
    options: argparse.Namespace, num_workers: int, pause: Callable[[], None], space: Space, stored: Mapping[str, Any]
) -> AbstractContextManager[Workers | None]:
    """Their processes, which import meanwhile; None where this process trains."""
    num_retries = DEFAULT_RETRIES if options.retries is None else options.retries
    if options.ray is not None:
        from sweep.executors.ray.workers import ray_workers

        cpus = options.cpus_per_worker or stored.get("threads")
        asked = (num_workers or None, cpus, options.gpus_per_worker)
        return ray_workers(options.ray, asked, _pools(space), num_retries, options.trial_timeout, pause)
    if num_workers == 0:
        return nullcontext()
    if options.gpus:
        check_gpus(options.gpus)
    environments = [{} for _ in range(num_workers)] if not options.gpus else gpu_environments(options)
    return LocalWorkers(environments, num_retries, options.trial_timeout, pause)


def _pools(space: Space) -> dict[PoolKey, RawPool]:
    """The images that the space names, each once."""
    return {pool_key(config): read_pool(config) for config in space.data_configs()}


def check_gpus(gpus: Sequence[str]) -> None:
    """DeviceError unless this machine has all of these GPUs. Of a driver without nvidia-smi nothing can be said."""
    try:
        said = subprocess.run(LISTING, capture_output=True, text=True, check=True, timeout=30).stdout.split()
    except (OSError, subprocess.SubprocessError):
        if NVIDIA_DRIVER.exists():
            return
        said = []
    missing = [gpu for gpu in gpus if gpu not in said]
    if missing:
        there = f"nvidia-smi lists {', '.join(said)}" if said else "this machine has no NVIDIA GPU"
        on_cpu = "" if said else "; on the CPU use --workers N"
        raise DeviceError(f"--gpus {','.join(gpus)}: there is no GPU {missing[0]}; {there}{on_cpu}")


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
