"""Options of one command, or of one call of the Python API. Frozen, created once at the edge.

They are neither a space (what may vary) nor a config (what one run is). None means: as the study began, else the
space file's value or the automatic choice.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.errors import InputError

AUTO = "auto"
UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def default_studies() -> Path:
    """Return the folder of studies and outputs: SWEEP_STUDIES, else `studies` in the working directory."""
    return Path(os.environ.get("SWEEP_STUDIES", "studies"))


def seconds(time: str | float) -> float:
    """Convert `90`, "90s", "10m", "2h" or "1d" to seconds. Raise InputError if it is not a time.

    >>> seconds("10m"), seconds(1.5)
    (600.0, 1.5)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", str(time))
    if match is None or float(match[1]) <= 0:
        raise InputError(f"must be a time such as 90s, 10m or 2h, got {time!r}")
    return float(match[1]) * UNITS_S[match[2] or "s"]


def _check_positive(**values: int | None) -> None:
    for name, value in values.items():
        if value is not None and (not _is_int(value) or value < 1):
            raise InputError(f"{name} must be a positive integer, got {value!r}")


def _check_from_zero(**values: int | None) -> None:
    for name, value in values.items():
        if value is not None and (not _is_int(value) or value < 0):
            raise InputError(f"{name} must be 0 or a positive integer, got {value!r}")


def _check_above_zero(**values: float | None) -> None:
    for name, value in values.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (is_number and 0 < value < float("inf")):
            raise InputError(f"{name} must be a number above 0, got {value!r}")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True)
class StorageOptions:
    """Where studies are stored.

    Attributes:
        studies: The folder of the SQLite file and of all outputs.
        storage: A database URL instead of `studies/sweep.db`; None also reads SWEEP_STORAGE.
    """

    studies: Path = field(default_factory=default_studies)
    storage: str | None = None


@dataclass(frozen=True)
class EngineOptions:
    """What trains.

    Attributes:
        engine: `packed`, `sequential`, `fake`, `module:attribute`, or None for the study's own or the automatic choice.
        lanes: Trials at a time in each process.
    """

    engine: str | None = None
    lanes: int | None = None

    def __post_init__(self) -> None:
        _check_positive(lanes=self.lanes)


@dataclass(frozen=True)
class DeviceOptions:
    """What of the machine is used.

    Attributes:
        device: `auto`, `cpu` or `gpu:N`.
        gpu_memory_gb: A cap on GPU memory, in GiB.
        threads: CPU threads; None for all cores.
    """

    device: str = AUTO
    gpu_memory_gb: float | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        _check_positive(threads=self.threads)
        _check_above_zero(gpu_memory_gb=self.gpu_memory_gb)


@dataclass(frozen=True)
class WorkerOptions:
    """Where trials are trained other than in this process.

    Attributes:
        workers: Worker processes; 0 trains in this process.
        retries: How often a trial whose worker died is tried again; None for 1.
        trial_timeout_s: Seconds of training for each attempt of a trial.
        gpus: Indices of the GPUs that get a worker each.
        slots_per_gpu: Workers that share a GPU.
        ray: The address of a Ray cluster: `auto`, `host:port`, or `local` for one that is started here.
        cpus_per_worker: CPUs of a Ray worker.
        gpus_per_worker: GPUs of a Ray worker; 0.5 shares one.
    """

    workers: int | None = None
    retries: int | None = None
    trial_timeout_s: float | None = None
    gpus: tuple[str, ...] = ()
    slots_per_gpu: int | None = None
    ray: str | None = None
    cpus_per_worker: int | None = None
    gpus_per_worker: float | None = None

    def __post_init__(self) -> None:
        _check_from_zero(workers=self.workers, retries=self.retries)
        _check_positive(slots_per_gpu=self.slots_per_gpu, cpus_per_worker=self.cpus_per_worker)
        _check_above_zero(trial_timeout=self.trial_timeout_s, gpus_per_worker=self.gpus_per_worker)


@dataclass(frozen=True)
class EarlierOptions:
    """The study whose trials a new one starts from.

    Attributes:
        study: Its name; None for none.
        top: Only so many of its best COMPLETE trials; None for all.
        recheck: How many of the best are run once more, to see whether their scores hold; None for 0.
    """

    study: str | None = None
    top: int | None = None
    recheck: int | None = None

    def __post_init__(self) -> None:
        _check_positive(top=self.top, recheck=self.recheck)
        if self.study is None and (self.top, self.recheck) != (None, None):
            raise InputError("top and recheck are of an earlier study; name it with --from")


@dataclass(frozen=True)
class RunOptions:
    """Options of `sweep run`.

    Attributes:
        study: The study's name; None for the space file's.
        trials: Finished trials in total.
        timeout_s: Seconds in total, across resumes.
        seed: Of sampling, weights and minibatches.
        max_failures: The sweep stops when so many trials in a row have failed.
        quiet: Show no progress.
        command: What the user typed, for the record.
        callbacks: Names of callbacks, or `Callback` objects.
        earlier: The study whose trials this one starts from.
    """

    study: str | None = None
    trials: int | None = None
    timeout_s: float | None = None
    seed: int | None = None
    max_failures: int | None = None
    quiet: bool = False
    command: str = ""
    callbacks: tuple[Any, ...] = ()
    earlier: EarlierOptions = EarlierOptions()
    storage: StorageOptions = field(default_factory=StorageOptions)
    engine: EngineOptions = EngineOptions()
    device: DeviceOptions = DeviceOptions()
    workers: WorkerOptions = WorkerOptions()

    def __post_init__(self) -> None:
        _check_positive(trials=self.trials, max_failures=self.max_failures)
        _check_above_zero(timeout=self.timeout_s)
        _check_from_zero(seed=self.seed)


@dataclass(frozen=True)
class ConfirmOptions:
    """Options of `sweep confirm`.

    Attributes:
        top: The best COMPLETE trials that are trained again.
        seeds: Fresh seeds of each.
        again: Drop the scores that are stored.
        quiet: Show no progress.
    """

    top: int = 5
    seeds: int = 10
    again: bool = False
    quiet: bool = False
    storage: StorageOptions = field(default_factory=StorageOptions)
    engine: EngineOptions = EngineOptions()
    device: DeviceOptions = DeviceOptions()
    workers: WorkerOptions = WorkerOptions()

    def __post_init__(self) -> None:
        _check_positive(top=self.top, seeds=self.seeds)


@dataclass(frozen=True)
class RetrainOptions:
    """Options of `sweep retrain` and `sweep train`.

    Attributes:
        seeds: Trainings, each from a seed of its own.
        train_on: `train` or `train+validation`; None for the config's.
        verify: Repeat the sweep's own run instead, and compare the scores.
        tolerance: Of `verify`; None for 1e-6.
        out: The folder of the models.
    """

    seeds: int = 1
    train_on: str | None = None
    verify: bool = False
    tolerance: float | None = None
    out: Path | None = None
    storage: StorageOptions = field(default_factory=StorageOptions)
    engine: EngineOptions = EngineOptions()
    device: DeviceOptions = DeviceOptions()
    workers: WorkerOptions = WorkerOptions()

    def __post_init__(self) -> None:
        _check_positive(seeds=self.seeds)
