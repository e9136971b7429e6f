"""What is found out before a plan is made: the data, this machine's or the workers' share of it, and the device.

Everything that can fail is tried here, so that nothing is trained for a mistake.
"""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

from optuna.exceptions import ExperimentalWarning

from sweep.config.study_settings import StudySettings
from sweep.data import class_counts, content_hashes, load
from sweep.engines.auto import host_memory_bytes, operation_threads
from sweep.engines.cpu import default_onednn
from sweep.engines.device import Device
from sweep.engines.devices import set_up_device
from sweep.engines.function_process import prepare_function
from sweep.executors.auto import gpu_memory_gb
from sweep.executors.pool import Resources, Workers
from sweep.models.probe import configs_to_probe, probe
from sweep.options import DeviceOptions, RunOptions, WorkerOptions
from sweep.plugins.user_code import UserCode, code_of
from sweep.space.checks import check_data
from sweep.space.space import Space
from sweep.tuning import pruners, samplers
from sweep.tuning.dry_run import rehearse
from sweep.tuning.pruners import build_pruner
from sweep.tuning.samplers import sampler_factory

VERSIONS_OF = ("sweep", "optuna", "keras", "tensorflow", "numpy", "scikit-learn")


@dataclass(frozen=True)
class DataSummary:
    """What the data sections of a space name.

    Attributes:
        content_hash: Over all the content.
        image_shape: The largest height, width and channels.
        num_classes: The most of any data section.
        image_ranges: Of what reaches the models.
        classes: The record of `ClassCounts`, where no data key varies.
        notes: What the user should know of the data.
    """

    content_hash: str = ""
    image_shape: tuple[int, int, int] = (0, 0, 0)
    num_classes: int = 0
    image_ranges: tuple[str, ...] = ()
    classes: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


NO_DATA = DataSummary()  # of a function that is an objective by itself


@dataclass(frozen=True)
class Probe:
    """All that a plan depends on in addition to options, space and the stored study.

    Attributes:
        data: What the space's data sections name.
        resources: Threads and memory of each process that trains.
        device: What trains; None before it is set up, and for an engine without Keras.
        num_workers: Worker processes; 0 trains in this process.
        kind_of_workers: What they are, for the user.
        code: The user's code that trials run.
        versions: Of the packages.
        onednn: Whether a new study uses oneDNN; None leaves it to TensorFlow.
    """

    data: DataSummary
    resources: Resources
    device: Device | None = None
    num_workers: int = 0
    kind_of_workers: str = ""
    code: UserCode | None = None
    versions: dict[str, str] = field(default_factory=dict)
    onednn: bool | None = None

    @property
    def num_processes(self) -> int:
        """Return the number of processes that train."""
        return max(1, self.num_workers)


def probe_machine(space: Space, data: DataSummary, workers: Workers | None) -> Probe:
    """Probe everything but the device, whose setup depends on a first plan."""
    return Probe(
        data=data,
        resources=workers.resources if workers else Resources(os.cpu_count() or 1, host_memory_bytes()),
        num_workers=workers.num_workers if workers else 0,
        kind_of_workers=workers.kind if workers else "",
        code=code_of(*space.user_code) if space.user_code else None,
        versions={package: version(package) for package in VERSIONS_OF},
        onednn=default_onednn(),
    )


def check_names(space: Space, seed: int) -> None:
    """Raise SpaceError for samplers, pruners and options that Optuna would reject."""
    warnings.simplefilter("ignore", ExperimentalWarning)  # the user chose it by name; Optuna's page says what is new
    rehearse(space, sampler_factory(space, seed), build_pruner(space))


def summarize_data(space: Space) -> DataSummary:
    """Load what the space's data sections name; feature maps are checked against the images."""
    if space.function is not None:
        return NO_DATA
    hashes, shapes, nums_classes, ranges, notes = [], [], [], [], []
    for config in space.data_configs():
        dataset = load(config)
        check_data(space, dataset.image_shape, dataset.class_names)
        hashes.append(dataset.content_hash)
        shapes.append(dataset.image_shape)
        nums_classes.append(dataset.num_classes)
        ranges.append(dataset.image_range)
        counts = class_counts(dataset)
        notes += counts.absent_lines()
    height, width, channels = (max(sides) for sides in zip(*shapes, strict=True))
    content_hash, image_ranges = "+".join(sorted(set(hashes))), tuple(dict.fromkeys(ranges))
    classes = (counts if config.fold is None else counts.of_folds()).record() if len(hashes) == 1 else {}
    shape = (height, width, channels)
    return DataSummary(content_hash, shape, max(nums_classes), image_ranges, classes, tuple(dict.fromkeys(notes)))


def probe_function(settings: StudySettings, space: Space, workers: Workers | None, device: str) -> None:
    """Look for the space's function where it will run, and limit what it uses of the machine.

    Raises:
        SpaceError: It cannot be imported, or cannot be called as trials will.
    """
    assert space.function is not None
    function: dict[str, Any] = {
        "function": space.function,
        "calls": space.function_calls(),
        "prunes": space.pruner.name != "none",
        "device": "cpu" if settings.device == "cpu" else device,  # as the study began
        "threads": settings.threads,
    }
    if workers is None:
        prepare_function(**function)
    else:
        workers.set_up(None, threads=1, function=function, code=space.user_code)


def probe_device(
    options: DeviceOptions,
    worker_options: WorkerOptions,
    space: Space,
    engine: str,
    threads: int,
    onednn: bool | None,
    workers: Workers | None,
) -> Device:
    """Set the device up, here or in the workers, and try a user's builder where it will run.

    Args:
        options: The device, and a cap on its memory.
        worker_options: GPUs of the workers.
        space: Some of its configs are built, where the builder is the user's.
        engine: What will train; it decides on the threads of one operation.
        threads: CPU threads of each process.
        onednn: Whether TensorFlow uses oneDNN; None leaves it to TensorFlow.
        workers: Where it is set up; None for this process.

    Raises:
        DeviceError: There is no such device.
        SpaceError: The builder cannot be imported, or builds nothing.
        ModelError: A model does not fit the data or the loss.
    """
    num_threads = operation_threads(engine, threads)
    probed = configs_to_probe(space.with_precision("float32").extreme_configs())
    if workers is None:
        device = set_up_device(
            options.device, threads, options.gpu_memory_gb, operation_threads=num_threads, onednn=onednn
        )
        probe(probed)
        return device
    found = workers.set_up(
        options.device,
        threads,
        gpu_memory_gb(worker_options, options),
        operation_threads=num_threads,
        onednn=onednn,
        code=space.user_code,
        data=content_hashes(space.data_configs()),
        probed=probed,
    )
    assert found is not None
    return found


def source_line(space: Space) -> str | None:
    """Return the notice that is printed before a user's data source is called."""
    return f"this runs your code: {code_of(space.user_source)}" if space.user_source is not None else None


def search_code(space: Space) -> tuple[str, ...]:
    """Return `module:Class` of a sampler and a pruner that are not ours; they run in this process only."""
    codes = (samplers.CHOICES.code_of(space.sampler.name), pruners.CHOICES.code_of(space.pruner.name))
    return tuple(code for code in codes if code is not None)


def code_line(space: Space, *, workers: Workers | None, may_have_workers: bool) -> str | None:
    """Return the notice printed before a user's function or model runs, with the option that isolates it, if any."""
    others = [name for name in (*space.user_code, *search_code(space)) if name != space.user_source]
    if not others:
        return None
    is_at_risk = workers is None and may_have_workers
    advice = "; --workers 1 keeps the sweep alive where it ends its process" if is_at_risk and space.user_code else ""
    return f"this runs your code: {code_of(*others)}{advice}"


def with_threads(found: Probe, options: RunOptions, stored: int | None) -> Probe:
    """Return the probe with the requested number of threads, else with the stored study's."""
    threads = options.device.threads or stored or found.resources.threads
    return replace(found, resources=replace(found.resources, threads=threads))


Say = Callable[[str], None]
