"""Probe data, resources and device before a plan is made.

Everything that can fail is tried here, before any training.
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
from sweep.engines.placed import is_streamed
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
    """A summary of the data of all data configs of a space.

    Attributes:
        content_hash: Hash of the content; the hashes of several data configs are joined by "+".
        image_shape: The largest height, width and number of channels.
        num_classes: The largest number of classes.
        image_ranges: The ranges of pixel values after scaling, as text.
        classes: The record of `ClassCounts`; empty if a data key varies.
        notes: Notices for the user.
        is_streamed: Whether some images stay in their file while models are trained on them.
    """

    content_hash: str = ""
    image_shape: tuple[int, int, int] = (0, 0, 0)
    num_classes: int = 0
    image_ranges: tuple[str, ...] = ()
    classes: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    is_streamed: bool = False


NO_DATA = DataSummary()  # for an objective function


@dataclass(frozen=True)
class Probe:
    """What a plan depends on in addition to options, space and the stored study.

    Attributes:
        data: A summary of the data.
        resources: Threads and memory of each process that trains.
        device: The device; None before it is set up, and for an engine without Keras.
        num_workers: Number of worker processes; 0 trains in this process.
        kind_of_workers: What a worker is, for the user.
        code: The user code that trials run; None without user code.
        versions: Versions by package.
        onednn: Whether a new study uses oneDNN; None for TensorFlow's default.
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
    """Probe everything except the device, whose setup depends on a first plan."""
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
    warnings.simplefilter("ignore", ExperimentalWarning)  # the user chose the class by name
    rehearse(space, sampler_factory(space, seed), build_pruner(space))


def summarize_data(space: Space) -> DataSummary:
    """Load the data of the space's data configs, and check feature maps against the image shapes.

    Raises:
        DataError: The data cannot be read or split.
        SpaceError: The images are too small for a model.
    """
    if space.function is not None:
        return NO_DATA
    hashes, shapes, nums_classes, ranges, notes = [], [], [], [], []
    streamed = False
    for config in space.data_configs():
        dataset = load(config)
        check_data(space, dataset.image_shape, dataset.class_names)
        hashes.append(dataset.content_hash)
        shapes.append(dataset.image_shape)
        nums_classes.append(dataset.num_classes)
        ranges.append(dataset.image_range)
        streamed = streamed or is_streamed(dataset)
        counts = class_counts(dataset)
        notes += counts.absent_lines()
    height, width, channels = (max(sides) for sides in zip(*shapes, strict=True))
    content_hash, image_ranges = "+".join(sorted(set(hashes))), tuple(dict.fromkeys(ranges))
    classes = (counts if config.fold is None else counts.of_folds()).record() if len(hashes) == 1 else {}
    shape, all_notes = (height, width, channels), tuple(dict.fromkeys(notes))
    return DataSummary(content_hash, shape, max(nums_classes), image_ranges, classes, all_notes, streamed)


def probe_function(settings: StudySettings, space: Space, workers: Workers | None, device: str) -> None:
    """Check that the space's function can be called, and limit its threads and devices, where it will be called.

    Args:
        settings: The settings of the sweep, with device and threads.
        space: The space.
        workers: The workers; None if this process calls the function.
        device: The requested device.

    Raises:
        SpaceError: The function cannot be imported, or does not accept the parameters.
    """
    assert space.function is not None
    function: dict[str, Any] = {
        "function": space.function,
        "calls": space.function_calls(),
        "prunes": space.pruner.name != "none",
        "device": "cpu" if settings.device == "cpu" else device,  # a study that began on the CPU continues on it
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
    """Set up the device and try user-defined models, in the processes that will train.

    Args:
        options: The device, and a limit on its memory.
        worker_options: GPUs of the workers.
        space: The space; some of its configs are built if they use a user's builder.
        engine: The engine, which determines the number of threads of one operation.
        threads: CPU threads of each process.
        onednn: Whether TensorFlow uses oneDNN; None for TensorFlow's default.
        workers: The workers; None if this process trains.

    Returns:
        The device.

    Raises:
        DeviceError: There is no such device.
        SpaceError: The builder cannot be imported, or does not return a model.
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
    """Return the notice that is printed before a user's data source is called, None if the space has none."""
    return f"this runs your code: {code_of(space.user_source)}" if space.user_source is not None else None


def search_code(space: Space) -> tuple[str, ...]:
    """Return `module:Class` of a custom sampler and pruner, which run in this process only."""
    codes = (samplers.CHOICES.code_of(space.sampler.name), pruners.CHOICES.code_of(space.pruner.name))
    return tuple(code for code in codes if code is not None)


def code_line(space: Space, *, workers: Workers | None, may_have_workers: bool) -> str | None:
    """Return the notice that is printed before user code runs, None without user code.

    Args:
        space: The space.
        workers: The workers; None if this process trains.
        may_have_workers: Whether the command has the option `--workers`, which the notice then recommends.
    """
    others = [name for name in (*space.user_code, *search_code(space)) if name != space.user_source]
    if not others:
        return None
    is_at_risk = workers is None and may_have_workers
    advice = "; with --workers 1 the sweep survives if it ends its process" if is_at_risk and space.user_code else ""
    return f"this runs your code: {code_of(*others)}{advice}"


def with_threads(found: Probe, options: RunOptions, stored: int | None) -> Probe:
    """Return the probe with the requested number of threads, else the stored one, else its own."""
    threads = options.device.threads or stored or found.resources.threads
    return replace(found, resources=replace(found.resources, threads=threads))


Say = Callable[[str], None]
