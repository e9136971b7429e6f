"""One short function a command, its steps in order. Heavy imports stand inside the functions."""

import argparse
import gc
import os
import shlex
import shutil
import sys
from dataclasses import replace
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import InputError, NoUsableTrial

if TYPE_CHECKING:
    from sweep.devices import Device
    from sweep.engines.base import Engine
    from sweep.interruption import Interruption
    from sweep.search_space import Space
    from sweep.study import Settings, SweepStudy

VERSIONS_OF = ("sweep", "optuna", "keras", "tensorflow", "numpy", "scikit-learn")


def init(options: argparse.Namespace) -> None:
    """Copy the shipped space files; what exists is never overwritten."""
    shipped = sorted(Path(str(resources.files("sweep") / "search_spaces")).rglob("*.toml"))
    root = Path(str(resources.files("sweep") / "search_spaces"))
    targets = [(source, options.folder / source.relative_to(root)) for source in shipped]
    existing = [target for _, target in targets if target.exists()]
    if existing:
        raise InputError(f"{existing[0]} exists; choose another folder, nothing was copied")
    for source, target in targets:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        print(target)


def check(options: argparse.Namespace) -> None:
    """Validate a space file and show what it makes."""
    from sweep.check import print_samples, print_space

    space = _load_space(options)
    print_space(space)
    print_samples(space, options.samples, options.seed)


def run(options: argparse.Namespace) -> None:
    """Check everything, lock the study, go on from where it stands, say how it ended."""
    from sweep.devices import check_device_name
    from sweep.interruption import Interruption
    from sweep.storage import StudyLock, check_study_name, database_url
    from sweep.study import open_study, stored_settings

    check_device_name(options.device)
    space = _load_space(options)
    name = check_study_name(options.study or space.study.name)
    seed = space.study.seed if options.seed is None else options.seed
    _check_names(space, seed)
    data_hash = _check_data(space)
    url = database_url(options.studies, options.storage)
    with Interruption() as interruption, StudyLock(url, name):
        stored = stored_settings(url, name)
        settings, device = _settle(options, space, stored or {}, seed, data_hash)
        study = open_study(url, name, space, settings, stored)
        if not options.quiet:
            _print_start(space, url, name, device)
        _run_to_limits(options, space, study, settings, interruption)


def _run_to_limits(
    options: argparse.Namespace, space: "Space", study: "SweepStudy", settings: "Settings", interruption: "Interruption"
) -> None:
    from sweep.executors.in_process import InProcessExecutor
    from sweep.progress import Scoreboard, make_progress
    from sweep.tuner import Limits, Tuner

    limits = Limits(options.trials or space.study.num_trials, options.timeout)
    trials = study.frozen_trials()
    scoreboard = Scoreboard(space.study.metric, space.direction, limits.num_trials, space.max_epochs(), trials)
    if scoreboard.num_finished >= limits.num_trials:
        print(f"{study.study_name}: {scoreboard.summary()}; nothing to do, --trials N asks for more")
        return
    gc.freeze()  # Keras collects garbage before each model: what the imports made need not be looked at again
    executor = InProcessExecutor(_make_engine(settings.engine, interruption))
    with make_progress(scoreboard, quiet=options.quiet) as progress:
        Tuner(study, space, executor, limits, progress, settings.seed, interruption).run()
    _print_end(study, space)


def _check_names(space: "Space", seed: int) -> None:
    """Unknown samplers, pruners and options are said before anything slow."""
    from sweep.pruners import build_pruner
    from sweep.samplers import sampler_factory

    sampler_factory(space, seed)
    build_pruner(space)


def _settle(
    options: argparse.Namespace, space: "Space", stored: "dict[str, Any]", seed: int, data_hash: str
) -> "tuple[Settings, Device | None]":
    """The settings of this run: what the flags say, else what the study has stored, else the defaults."""
    from sweep.devices import set_up_device
    from sweep.study import Settings

    engine = options.engine or stored.get("engine", "sequential")
    threads = options.threads or stored.get("threads") or os.cpu_count() or 1
    device = None
    if engine != "fake":
        device = set_up_device(options.device, threads, options.gpu_memory_gb)
        _check_builder(space)
    settings = Settings(
        space=space.record(),
        sampler=space.sampler.model_dump(),
        pruner=space.pruner.model_dump(),
        seed=seed,
        data_hash=data_hash,
        engine=engine,
        num_lanes=1,
        threads=threads,
        device=device.name.split(":")[0] if device else "none",
        keras_backend=device.keras_backend if device else "none",
        versions={package: version(package) for package in VERSIONS_OF},
        command=shlex.join(["sweep", *sys.argv[1:]]),
    )
    return settings, device


def _check_data(space: "Space") -> str:
    """Load what the space's fixed data section names; feature maps are checked against its images."""
    from sweep.datasets import load
    from sweep.search_space import check_feature_maps

    hashes = []
    for config in space.data_configs():
        dataset = load(config)
        check_feature_maps(space, dataset.image_shape)
        hashes.append(dataset.content_hash)
    return "+".join(sorted(set(hashes)))


def _check_builder(space: "Space") -> None:
    builder = space.fixed.get("model", {}).get("builder")
    if builder is not None:
        from sweep.models import find_builder

        find_builder(builder)
        print(f"this sweep runs your code: {builder}")


def _make_engine(name: str, interruption: "Interruption") -> "Engine":
    if name == "fake":
        from sweep.engines.fake import FakeEngine

        return FakeEngine(epoch_s=float(os.environ.get("SWEEP_FAKE_EPOCH_S", "0")))
    from sweep.engines.sequential import SequentialEngine

    return SequentialEngine(pause=interruption.check)


def _load_space(options: argparse.Namespace) -> "Space":
    from sweep.search_space import Choice, load_space

    for folder in (str(options.space.resolve().parent), os.getcwd()):  # where a user's builder may stand
        if folder not in sys.path:
            sys.path.insert(0, folder)
    space = load_space(options.space, options.overrides)
    sampler, pruner = getattr(options, "sampler", None), getattr(options, "pruner", None)
    if sampler is not None and sampler != space.sampler.name:
        space = replace(space, sampler=Choice(name=sampler))
    if pruner is not None and pruner != space.pruner.name:
        space = replace(space, pruner=Choice(name=pruner))
    return space


def _print_start(space: "Space", url: str, name: str, device: "Device | None") -> None:
    from sweep.storage.database import database_path

    print(f"study {name} in {database_path(url)}; {space.direction} {space.study.metric}; space {space.fingerprint}")
    print(f"device: {device.description if device else 'none (fake engine)'}")
    if device is not None and device.note:
        print(device.note)


def _print_end(study: "SweepStudy", space: "Space") -> None:
    """Best trial and counts; NoUsableTrial if none is COMPLETE."""
    from optuna.trial import TrialState

    counts = {state: len(study.frozen_trials(state)) for state in TrialState}
    shown = ", ".join(f"{number} {state.name}" for state, number in counts.items() if number)
    if not counts[TrialState.COMPLETE] and not counts[TrialState.RUNNING]:
        raise NoUsableTrial(
            f"{study.study_name}: no trial is COMPLETE ({shown}); `sweep show {study.study_name}` names the causes"
        )
    if counts[TrialState.RUNNING]:
        shown += "; the time is up, a longer --timeout goes on"
    print(f"{study.study_name}: {shown}")
    if counts[TrialState.COMPLETE]:
        best = study.best_trial
        print(f"best: trial {best.number}, {space.study.metric} {best.value:.4f}, {best.params}")


def list(options: argparse.Namespace) -> None:
    """A line for each study."""
    from sweep.show import print_studies
    from sweep.storage import database_url, list_studies

    print_studies(list_studies(database_url(options.studies, options.storage)), as_json=options.json)


def show(options: argparse.Namespace) -> None:
    """A study's trials."""
    from sweep.show import print_csv, print_json, print_table
    from sweep.storage import check_study_name, database_url, read_study

    study = read_study(database_url(options.studies, options.storage), check_study_name(options.study))
    printer = print_json if options.json else print_csv if options.csv else print_table
    printer(study)


def report(options: argparse.Namespace) -> None:
    """A study as a page, compared with others."""
    from sweep.report import make_page, write_page
    from sweep.storage import check_study_name, database_url, read_study

    names = [check_study_name(name) for name in (options.study, *options.others)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"study {twice} is named twice; name each study once")
    url = database_url(options.studies, options.storage)
    path = options.out or options.studies / options.study / "report.html"
    page = make_page([read_study(url, name) for name in names])
    write_page(page, path)
    print(f"{path} ({len(page.encode()) / 1e6:.1f} MB)")
