"""One short function a command, its steps in order. Heavy imports stand inside the functions."""

import argparse
import gc
import os
import shlex
import shutil
import sys
import warnings
from contextlib import closing
from dataclasses import replace
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import InputError, NoUsableTrial

if TYPE_CHECKING:
    from sweep.config import TrialConfig
    from sweep.config_file import Provenance
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
    name = check_study_name(space.study.name if options.study is None else options.study)
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
        with closing(study.write_behind):
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
        _print_end(study, space)
        return
    gc.freeze()  # Keras collects garbage before each model: what the imports made need not be looked at again
    executor = InProcessExecutor(_make_engine(settings.engine, interruption))
    with make_progress(scoreboard, quiet=options.quiet) as progress:
        is_timed_out = Tuner(study, space, executor, limits, progress, settings.seed, interruption).run()
    _print_end(study, space, is_timed_out=is_timed_out)


def _check_names(space: "Space", seed: int) -> None:
    """Samplers, pruners and options that Optuna would fail with are said before anything slow."""
    from optuna.exceptions import ExperimentalWarning

    from sweep.pruners import build_pruner
    from sweep.rehearsal import rehearse
    from sweep.samplers import sampler_factory

    warnings.simplefilter("ignore", ExperimentalWarning)  # the user chose it by name; Optuna's page says what is new
    rehearse(space, sampler_factory(space, seed), build_pruner(space))


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

        return FakeEngine(epoch_s=float(os.environ.get("SWEEP_FAKE_EPOCH_S") or 0))
    from sweep.engines.sequential import SequentialEngine

    return SequentialEngine(pause=interruption.check)


def _load_space(options: argparse.Namespace) -> "Space":
    from sweep.search_space import Choice, load_space

    _find_modules_in(options.space.resolve().parent)
    space = load_space(options.space, options.overrides)
    sampler, pruner = getattr(options, "sampler", None), getattr(options, "pruner", None)
    if sampler is not None and sampler != space.sampler.name:
        space = replace(space, sampler=Choice(name=sampler))
    if pruner is not None and pruner != space.pruner.name:
        space = replace(space, pruner=Choice(name=pruner))
    return space


def _find_modules_in(folder: Path) -> None:
    """A user's builder may stand in the current folder, or beside the file that names it."""
    for place in (str(folder), os.getcwd()):
        if place not in sys.path:
            sys.path.insert(0, place)


def _print_start(space: "Space", url: str, name: str, device: "Device | None") -> None:
    from sweep.storage.database import database_path

    print(f"study {name} in {database_path(url)}; {space.direction} {space.study.metric}; space {space.fingerprint}")
    print(f"device: {device.description if device else 'none (fake engine)'}")
    if device is not None and device.note:
        print(device.note)


def _print_end(study: "SweepStudy", space: "Space", *, is_timed_out: bool = False) -> None:
    """Best trial and counts; NoUsableTrial if none is COMPLETE."""
    from optuna.trial import TrialState

    from sweep.samplers import num_points

    counts = {state: len(study.frozen_trials(state)) for state in TrialState}
    shown = ", ".join(f"{number} {state.name}" for state, number in counts.items() if number)
    points = num_points(space)
    if points is not None and len(study.frozen_trials()) >= points:
        shown += f"; all {points} points were tried"
    if is_timed_out:
        shown = f"the time is up, a longer --timeout goes on ({shown or 'no trials'})"
    if not counts[TrialState.COMPLETE]:
        name = study.study_name
        raise NoUsableTrial(f"{name}: no trial is COMPLETE: {shown}; `sweep show {name}` names causes of failure")
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
    """A study's trials, or one of them."""
    from sweep.show import print_csv, print_json, print_table
    from sweep.show_trial import find_trial, print_epochs_csv, print_trial, print_trial_json
    from sweep.storage import check_study_name, database_url, read_study

    study = read_study(database_url(options.studies, options.storage), check_study_name(options.study))
    if options.trial is None:
        printer = print_json if options.json else print_csv if options.csv else print_table
        printer(study)
    else:
        trial = find_trial(study, options.trial)
        trial_printer = print_trial_json if options.json else print_epochs_csv if options.csv else print_trial
        trial_printer(study, trial)


def dashboard(options: argparse.Namespace) -> None:
    """Serve optuna-dashboard until Ctrl-C."""
    from sweep.dashboard import serve
    from sweep.storage import database_url

    serve(database_url(options.studies, options.storage), options.port, write=options.write)


def export(options: argparse.Namespace) -> None:
    """Config files of trials, the best ones or those named."""
    from sweep.export import export_trials
    from sweep.storage import check_study_name, database_url, read_study

    study = read_study(database_url(options.studies, options.storage), check_study_name(options.study))
    folder = options.out or options.studies / options.study / "configs"
    for path in export_trials(study, options.trial, options.top, folder):
        print(path)


def train(options: argparse.Namespace) -> None:
    """One seed of a config."""
    retrain(options)


def retrain(options: argparse.Namespace) -> None:
    """Train a config's seeds and evaluate them, or repeat the sweep's own run and compare."""
    from sweep.config_file import read_config
    from sweep.devices import check_device_name, set_up_device
    from sweep.interruption import Interruption

    check_device_name(options.device)
    on = [] if options.on is None else [f"data.train_on={options.on}"]
    _find_modules_in(options.config.resolve().parent)
    config, provenance = read_config(options.config, [*options.overrides, *on])
    to_verify = provenance if options.verify else None
    if options.verify and to_verify is None:
        raise InputError(f"{options.config}: has no [provenance] to verify; `sweep export` writes it")
    threads = options.threads or (to_verify.threads if to_verify else os.cpu_count()) or 1
    device = set_up_device(options.device, threads, options.gpu_memory_gb)
    print(f"device: {device.description}")
    if config.model.builder is not None:
        print(f"this runs your code: {config.model.builder}")
    with Interruption() as interruption:
        if to_verify is not None:
            _verify(config, to_verify, device, options.tolerance, interruption)
        else:
            _retrain(options, config, provenance, interruption)


def _verify(
    config: "TrialConfig",
    provenance: "Provenance",
    device: "Device",
    tolerance: float | None,
    interruption: "Interruption",
) -> None:
    from sweep.verify import TOLERANCE, check_recorded, verify

    check_recorded(config, provenance, device.keras_backend)
    engine = _make_engine(provenance.engine, interruption)
    verify(config, provenance, engine, TOLERANCE if tolerance is None else tolerance)
    print("verified: the stored score is reproduced")


def _retrain(
    options: argparse.Namespace, config: "TrialConfig", provenance: "Provenance | None", interruption: "Interruption"
) -> None:
    from sweep.datasets import load
    from sweep.retrain import Retraining

    study = provenance.study if provenance is not None else "."
    folder = options.out or options.studies / study / "models" / options.config.stem
    dataset = load(config.data)
    print(f"{folder}: {len(dataset.y_train)} train, {len(dataset.y_validation)} validation images")
    with interruption.polled():
        content = Retraining(config, options.num_seeds, folder, pause=interruption.check).run()
    accuracy = content["test_accuracy"]
    deviation = accuracy["standard_deviation"]
    spread = "" if deviation is None else f", standard deviation {deviation:.4f}"
    print(f"test accuracy {accuracy['mean']:.4f}{spread}, {options.num_seeds} seeds, {content['num_test']} test images")


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
