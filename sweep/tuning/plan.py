"""What `sweep run` settles before the tuner starts: names, data, engine, lanes, device, and so the study's settings."""

import argparse
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

from optuna.exceptions import ExperimentalWarning

from sweep.data import class_counts, load
from sweep.engines.auto import (
    DeviceKind,
    EngineChoice,
    Situation,
    choose,
    host_memory_bytes,
    operation_threads,
)
from sweep.engines.cpu import default_onednn
from sweep.engines.devices import Device, set_up_device
from sweep.engines.precision import fast_precision
from sweep.errors import StudyError
from sweep.executors.auto import gpu_memory_gb
from sweep.executors.pool import Share, Workers
from sweep.models.cost import largest_cost, names_without_kernel
from sweep.models.probe import configs_to_probe, probe
from sweep.plugins.users_code import announce, code_of
from sweep.space.checks import check_feature_maps
from sweep.space.points import num_trials_at_most
from sweep.space.space import Space
from sweep.text import mask_passwords
from sweep.tuning.dry_run import rehearse
from sweep.tuning.pruners import build_pruner
from sweep.tuning.samplers import INDEPENDENT, sampler_factory
from sweep.tuning.study import Settings

VERSIONS_OF = ("sweep", "optuna", "keras", "tensorflow", "numpy", "scikit-learn")


@dataclass(frozen=True)
class DataSummary:
    """What the space's data sections name: a hash of all the content, the largest image shape, the most classes.

    `image_ranges` are of what reaches the models; `classes` the record of `ClassCounts`, where no data key varies;
    `notes` what the user should know of them.
    """

    content_hash: str
    image_shape: tuple[int, int, int]
    num_classes: int
    image_ranges: tuple[str, ...] = ()
    classes: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settled:
    """The study's space and settings, and what is said of them at the start. The fake engine has no device."""

    space: Space
    settings: Settings
    device: Device | None
    choice: EngineChoice
    kind_of_workers: str = ""
    data: DataSummary | None = None


def check_names(space: Space, seed: int) -> None:
    """Samplers, pruners and options that Optuna would fail with are said before anything slow."""
    warnings.simplefilter("ignore", ExperimentalWarning)  # the user chose it by name; Optuna's page says what is new
    rehearse(space, sampler_factory(space, seed), build_pruner(space))


def check_data(space: Space) -> DataSummary:
    """Load what the space's data sections name; feature maps are checked against the images."""
    hashes, shapes, nums_classes, ranges, notes = [], [], [], [], []
    for config in space.data_configs():
        dataset = load(config)
        check_feature_maps(space, dataset.image_shape)
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


def settle(
    options: argparse.Namespace,
    space: Space,
    stored: dict[str, Any],
    seed: int,
    data: DataSummary,
    workers: Workers | None = None,
) -> Settled:
    """What the flags say, else what the study has stored, else the automatic choice and the defaults.

    The engine decides how the device is set up, and the device how many lanes there are. So the choice is made for a
    CPU, where the set-up matters, and once more if the device turns out to be a GPU.
    """
    announce_code(options, space, workers)
    num_workers = workers.num_workers if workers else 0
    share = workers.share if workers else Share(os.cpu_count() or 1, host_memory_bytes())
    share = replace(share, threads=int(options.threads or stored.get("threads") or share.threads))
    threads, processes = share.threads, max(1, num_workers)
    choice = _choose_engine(options, space, stored, _situation(options, space, data, share, None, processes))
    device = None
    if choice.engine != "fake":
        onednn = stored.get("onednn") if stored else default_onednn()
        device = _set_up(options, space, threads, operation_threads(choice.engine, threads), onednn, workers)
        if device.kind == "gpu":
            choice = _choose_engine(options, space, stored, _situation(options, space, data, share, device, processes))
    space = space.with_precision(fast_precision(device, stored))
    settings = make_settings(space, seed, data, choice, threads, device, num_workers)
    if stored and stored.get("onednn") is None:
        settings = replace(settings, onednn=None)
    return Settled(space, settings, device, choice, workers.kind if workers else "", data)


def announce_code(options: argparse.Namespace, space: Space, workers: Workers | None) -> None:
    """Say what code of the user's is run; and how the sweep survives it, where a flag can do that."""
    if space.users_code is not None:
        is_at_risk = workers is None and "workers" in options
        advice = "; --workers 1 keeps the sweep alive where it ends its process" if is_at_risk else ""
        announce(code_of(space.users_code), advice=advice)


def settle_again(options: argparse.Namespace, space: Space, stored: dict[str, Any], num_runs: int) -> Settled:
    """For more runs of a study that there is. StudyError if the data is not what the study saw."""
    data = check_data(space)
    if data.content_hash != stored["data_hash"]:
        raise StudyError("the data is not what the sweep saw (its hash differs); correct data.path or SWEEP_DATA")
    return settle(argparse.Namespace(**{**vars(options), "trials": num_runs}), space, stored, stored["seed"], data)


def _set_up(
    options: argparse.Namespace,
    space: Space,
    threads: int,
    num_threads: int,
    onednn: bool | None,
    workers: Workers | None,
) -> Device:
    """Here, or in the workers; a user's builder is tried where it will run."""
    builder, probed = space.users_code, configs_to_probe(space.with_precision("float32").extreme_configs())
    if workers is None:
        device = set_up_device(
            options.device, threads, options.gpu_memory_gb, operation_threads=num_threads, onednn=onednn
        )
        probe(probed)
        return device
    cap = gpu_memory_gb(options)
    found = workers.set_up(
        options.device,
        threads,
        cap,
        operation_threads=num_threads,
        onednn=onednn,
        builder=builder,
        probed=probed,
    )
    assert found is not None
    return found


def _choose_engine(
    options: argparse.Namespace, space: Space, stored: dict[str, Any], situation: Situation
) -> EngineChoice:
    """The study's own unless the flags say otherwise; they may say otherwise while nothing was tried."""
    engine = None if options.engine == "auto" else options.engine
    if stored and engine in (None, stored["engine"]) and options.lanes in (None, stored["num_lanes"]):
        return EngineChoice(stored["engine"], stored["num_lanes"], "as the study began")
    if space.is_timed and options.lanes is None:
        return EngineChoice(engine or "sequential", 1, "an objective is a timing, so nothing trains beside it")
    return choose(situation, engine or stored.get("engine"), options.lanes)


def _situation(
    options: argparse.Namespace,
    space: Space,
    data: DataSummary,
    share: Share,
    device: Device | None,
    processes: int,
) -> Situation:
    """Of one of so many processes, on a CPU until the device is known; a GPU's memory is known only if it is capped."""
    device_kind: DeviceKind = "gpu" if device is not None and device.kind == "gpu" else "cpu"
    gpu_memory_bytes = options.gpu_memory_gb and round(options.gpu_memory_gb * 2**30)
    num_trials = num_trials_at_most(space, options.trials or space.study.num_trials)
    return Situation(
        cost=largest_cost(space, data.image_shape, data.num_classes),
        device_kind=device_kind,
        threads=share.threads,
        memory_bytes=share.memory_bytes if device_kind == "cpu" else gpu_memory_bytes,
        num_trials=-(-num_trials // processes),
        keras_backend=device.keras_backend if device else "tensorflow",
        is_adaptive=space.sampler.name not in INDEPENDENT or space.pruner.name != "none",
        without_kernel=names_without_kernel(space),
    )


def make_settings(
    space: Space,
    seed: int,
    data: DataSummary,
    choice: EngineChoice,
    threads: int,
    device: Device | None,
    num_workers: int,
) -> Settings:
    """What is stored with the study and compared on resume."""
    return Settings(
        space=space.record(),
        sampler=space.sampler.model_dump(),
        pruner=space.pruner.model_dump(),
        seed=seed,
        data_hash=data.content_hash,
        engine=choice.engine,
        num_lanes=choice.num_lanes,
        threads=threads,
        device=device.kind if device else "none",
        keras_backend=device.keras_backend if device else "none",
        num_workers=num_workers,
        classes=data.classes,
        onednn=device.onednn if device else None,
        versions={package: version(package) for package in VERSIONS_OF},
        command=_command(sys.argv[1:]),
        code=code_of(space.users_code) if space.users_code else None,
    )


def _command(arguments: Sequence[str]) -> str:
    """As it was given, without passwords; a file's name may be no text."""
    return shlex.join(["sweep", *map(mask_passwords, arguments)]).encode(errors="backslashreplace").decode()
