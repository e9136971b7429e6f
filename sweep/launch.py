"""What `sweep run` settles before the tuner starts, and what it says at the start and the end."""

import argparse
import gc
import os
import shlex
import sys
import warnings
from importlib.metadata import version
from typing import Any

from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState

from sweep.datasets import load
from sweep.devices import Device, set_up_device
from sweep.engines.base import Engine
from sweep.errors import NoUsableTrial
from sweep.executors.in_process import InProcessExecutor
from sweep.interruption import Interruption
from sweep.progress import Scoreboard, make_progress
from sweep.pruners import build_pruner
from sweep.rehearsal import rehearse
from sweep.samplers import num_points, sampler_factory
from sweep.search_space import Space, check_feature_maps
from sweep.storage.database import database_path
from sweep.study import Settings, SweepStudy
from sweep.tuner import Limits, Tuner

VERSIONS_OF = ("sweep", "optuna", "keras", "tensorflow", "numpy", "scikit-learn")


def run_to_limits(
    options: argparse.Namespace, space: Space, study: SweepStudy, settings: Settings, interruption: Interruption
) -> None:
    """Run the tuner until a limit is reached, with progress; NoUsableTrial if nothing came of it."""
    limits = Limits(options.trials or space.study.num_trials, options.timeout)
    trials = study.frozen_trials()
    scoreboard = Scoreboard(space.study.metric, space.direction, limits.num_trials, space.max_epochs(), trials)
    if scoreboard.num_finished >= limits.num_trials:
        print(f"{study.study_name}: {scoreboard.summary()}; nothing to do, --trials N asks for more")
        _print_end(study, space)
        return
    gc.freeze()  # Keras collects garbage before each model: what the imports made need not be looked at again
    executor = InProcessExecutor(make_engine(settings.engine, interruption))
    with make_progress(scoreboard, quiet=options.quiet) as progress:
        is_timed_out = Tuner(study, space, executor, limits, progress, settings.seed, interruption).run()
    _print_end(study, space, is_timed_out=is_timed_out)


def check_names(space: Space, seed: int) -> None:
    """Samplers, pruners and options that Optuna would fail with are said before anything slow."""
    warnings.simplefilter("ignore", ExperimentalWarning)  # the user chose it by name; Optuna's page says what is new
    rehearse(space, sampler_factory(space, seed), build_pruner(space))


def settle(
    options: argparse.Namespace, space: Space, stored: dict[str, Any], seed: int, data_hash: str
) -> tuple[Settings, Device | None]:
    """The settings of this run: what the flags say, else what the study has stored, else the defaults."""
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


def check_data(space: Space) -> str:
    """Load what the space's fixed data section names; feature maps are checked against its images."""
    hashes = []
    for config in space.data_configs():
        dataset = load(config)
        check_feature_maps(space, dataset.image_shape)
        hashes.append(dataset.content_hash)
    return "+".join(sorted(set(hashes)))


def _check_builder(space: Space) -> None:
    builder = space.fixed.get("model", {}).get("builder")
    if builder is not None:
        from sweep.models import find_builder

        print(f"this sweep runs your code: {builder}", flush=True)
        find_builder(builder)


def make_engine(name: str, interruption: Interruption) -> Engine:
    """The engine of that name, which looks for an interruption every second or so."""
    if name == "fake":
        from sweep.engines.fake import FakeEngine

        return FakeEngine(epoch_s=float(os.environ.get("SWEEP_FAKE_EPOCH_S") or 0))
    from sweep.engines.sequential import SequentialEngine

    return SequentialEngine(pause=interruption.check)


def print_start(space: Space, url: str, name: str, device: Device | None) -> None:
    """Where the study is, what is sought, on what device, and what the user should know of it."""
    print(f"study {name} in {database_path(url)}; {space.direction} {space.study.metric}; space {space.fingerprint}")
    print(f"device: {device.description if device else 'none (fake engine)'}")
    if device is not None and device.note:
        print(device.note)


def _print_end(study: SweepStudy, space: Space, *, is_timed_out: bool = False) -> None:
    """Best trial and counts; NoUsableTrial if none is COMPLETE."""
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
