"""Choose the number of workers, where they run, and the resources of each.

Without GPUs the CPU threads are divided among `--workers N`. With `--gpus 0,1 --slots-per-gpu 2` there is a worker for
each slot, which sees one GPU and an equal share of its memory. With `--ray` the workers are actors on the nodes of a
cluster.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec

from sweep.config.data import DataConfig
from sweep.data import PoolKey, RawPool, load, pool_key
from sweep.engines.backends import BACKENDS
from sweep.engines.device import NVIDIA_DRIVER
from sweep.errors import DeviceError, InputError
from sweep.executors.local.workers import LocalWorkers
from sweep.executors.pool import MEMORY_TO_SHARE, Workers
from sweep.options import DeviceOptions, WorkerOptions

DEFAULT_RETRIES = 1
ADDRESS = re.compile(r"auto|local|(ray://)?[^\s/]+:\d+")

LISTING = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")
QUERY = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")


def check_worker_options(workers: WorkerOptions, device: DeviceOptions) -> None:
    """Raise InputError for options that contradict each other, or if Ray is required and not installed."""
    if workers.ray is not None:
        _check_ray_options(workers)
        return
    on_ray_alone = {"--cpus-per-worker": workers.cpus_per_worker, "--gpus-per-worker": workers.gpus_per_worker}
    for flag, value in on_ray_alone.items():
        if value is not None:
            raise InputError(f"{flag}: needs a cluster; add --ray, or remove it")
    if workers.slots_per_gpu is not None and not workers.gpus:
        raise InputError("--slots-per-gpu: needs --gpus, as in --gpus 0,1")
    if workers.gpus and device.device != "auto":
        raise InputError("--gpus chooses the devices; remove --device")
    num_slots = _num_slots(workers)
    if workers.gpus and workers.workers not in (None, num_slots):
        raise InputError(f"--workers {workers.workers}: --gpus creates {num_slots} workers; remove --workers")


def _check_ray_options(workers: WorkerOptions) -> None:
    if not ADDRESS.fullmatch(str(workers.ray)):
        raise InputError(f"--ray {workers.ray}: is not an address; use auto or host:port, or put --ray last")
    if workers.gpus or workers.slots_per_gpu:
        raise InputError("--gpus counts those of this machine; with --ray use --gpus-per-worker 1, or 0.5 to share one")
    if workers.workers == 0:
        raise InputError("--workers 0: --ray needs at least one worker; remove it")
    if find_spec("ray") is None:
        raise InputError("--ray: Ray is not installed; pip install 'sweep[ray]'")


def choose_num_workers(workers: WorkerOptions, stored: int | None) -> int:
    """Choose the number of workers.

    Args:
        workers: The requested options.
        stored: The number that is stored with the study; None for a new study.

    Returns:
        The requested number, else the stored one, else 0. 0 trains in this process or, with Ray, chooses the number by
        the cluster's nodes.

    Raises:
        InputError: Retries are requested without workers.
    """
    if workers.ray is not None:
        return workers.workers or stored or 0
    num_workers = _num_slots(workers) or workers.workers
    if num_workers is None:
        num_workers = stored or 0
    if workers.retries is not None and num_workers == 0:
        raise InputError("--retries: a trial is retried by another worker; add --workers 1, or remove it")
    return num_workers


def _num_slots(workers: WorkerOptions) -> int:
    """Return the number of slots of all GPUs; 0 without `--gpus`."""
    return len(workers.gpus) * (workers.slots_per_gpu or 1)


def start_workers(
    options: WorkerOptions,
    num_workers: int,
    pause: Callable[[], None],
    say: Callable[[str], None],
    data: Iterable[DataConfig],
    threads: int | None,
) -> AbstractContextManager[Workers | None]:
    """Start the worker processes, which import Keras while this process continues.

    Args:
        options: The requested options, checked by `check_worker_options`.
        num_workers: The result of `choose_num_workers`.
        pause: Called several times a second; may raise to interrupt.
        say: Called with each line for the user, as on a lost worker.
        data: The data configs of the trials, whose images are sent to a Ray cluster.
        threads: The stored number of CPU threads of each worker; None for a new study.

    Returns:
        A context manager of the workers; of None if this process trains.

    Raises:
        DeviceError: There is no such GPU.
        InputError: The Ray cluster cannot be reached, or has too few resources.
    """
    num_retries = DEFAULT_RETRIES if options.retries is None else options.retries
    if options.ray is not None:
        from sweep.executors.ray.workers import ray_workers

        requested = (num_workers or None, options.cpus_per_worker or threads, options.gpus_per_worker)
        return ray_workers(options.ray, requested, _pools(data), num_retries, options.trial_timeout_s, pause, say)
    if num_workers == 0:
        return nullcontext()
    if options.gpus:
        check_gpus(options.gpus)
    environments = [{} for _ in range(num_workers)] if not options.gpus else gpu_environments(options)
    return LocalWorkers(environments, num_retries, options.trial_timeout_s, pause)


def _pools(data: Iterable[DataConfig]) -> dict[PoolKey, RawPool]:
    """Return the raw images of each data source by key."""
    return {pool_key(config): load(config).pool.raw for config in data}


def check_gpus(gpus: Sequence[str]) -> None:
    """Raise DeviceError if this machine lacks one of these GPUs. Nothing is checked if nvidia-smi is not installed."""
    try:
        listed = subprocess.run(LISTING, capture_output=True, text=True, check=True, timeout=30).stdout.split()
    except (OSError, subprocess.SubprocessError):
        if NVIDIA_DRIVER.exists():
            return
        listed = []
    missing = [gpu for gpu in gpus if gpu not in listed]
    if missing:
        reason = f"nvidia-smi lists {', '.join(listed)}" if listed else "this machine has no NVIDIA GPU"
        on_cpu = "" if listed else "; on the CPU use --workers N"
        raise DeviceError(f"--gpus {','.join(gpus)}: there is no GPU {missing[0]}; {reason}{on_cpu}")


def gpu_environments(options: WorkerOptions) -> list[dict[str, str]]:
    """Return environment variables for each worker: the GPU that it sees, and JAX's share of its memory.

    The GPUs alternate, so that the first lanes, which are assigned to workers in turn, use different GPUs.
    """
    share = MEMORY_TO_SHARE / (options.slots_per_gpu or 1)
    gpus = [gpu for _ in range(options.slots_per_gpu or 1) for gpu in options.gpus]
    return [{"CUDA_VISIBLE_DEVICES": gpu, "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{share:.3f}"} for gpu in gpus]


def gpu_memory_gb(workers: WorkerOptions, device: DeviceOptions) -> float | None:
    """Choose the limit on a worker's GPU memory for TensorFlow.

    Args:
        workers: The GPUs and the number of workers that share each.
        device: The requested limit.

    Returns:
        The limit in GiB: the requested one, else an equal share of the smallest GPU; None for no limit, as with JAX,
        whose share is set by `gpu_environments`.
    """
    slots = workers.slots_per_gpu or 1
    if device.gpu_memory_gb is not None or not workers.gpus or slots == 1:
        return device.gpu_memory_gb
    backend = BACKENDS.get(os.environ.get("KERAS_BACKEND", ""))
    if backend is not None and not backend.caps_gpu_memory:
        return None
    return MEMORY_TO_SHARE / slots * min(_total_gb(gpu) for gpu in workers.gpus)


def _total_gb(gpu: str) -> float:
    try:
        said = subprocess.run([*QUERY, f"--id={gpu}"], capture_output=True, text=True, check=True, timeout=30).stdout
        return float(said) / 1024
    except (OSError, subprocess.SubprocessError, ValueError):
        raise DeviceError(
            f"--gpus {gpu}: nvidia-smi does not report its memory; --gpu-memory-gb gives each worker its share"
        ) from None
