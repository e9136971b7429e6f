"""What `sweep run` does once its settings are settled: make the engine, run the tuner; say how it starts and ends."""

import argparse
import gc
import os
from collections.abc import Sequence

from optuna.trial import TrialState

from sweep.devices import Device
from sweep.engine_choice import EngineChoice
from sweep.engines.base import Engine
from sweep.errors import NoUsableTrial
from sweep.executors.in_process import InProcessExecutor
from sweep.interruption import Interruption
from sweep.progress import Scoreboard, make_progress
from sweep.samplers import num_points
from sweep.search_space import Space
from sweep.storage.database import database_path
from sweep.study import Settings, SweepStudy
from sweep.tuner import Limits, Tuner


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
    engine = make_engine(settings.engine, settings.num_lanes, settings.threads, interruption, space.widest())
    executor = InProcessExecutor(engine)
    with make_progress(scoreboard, quiet=options.quiet) as progress:
        is_timed_out = Tuner(study, space, executor, limits, progress, settings.seed, interruption).run()
    _print_end(study, space, is_timed_out=is_timed_out)


def make_engine(
    name: str, num_lanes: int, threads: int, interruption: Interruption, widest: Sequence[tuple[int, ...]] = ()
) -> Engine:
    """The engine of that name, which looks for an interruption every second or so; `widest` as `Space.widest`."""
    if name == "fake":
        from sweep.engines.fake import FakeEngine

        return FakeEngine(num_lanes, epoch_s=float(os.environ.get("SWEEP_FAKE_EPOCH_S") or 0))
    if name == "packed":
        from sweep.engines.packed import PackedEngine

        return PackedEngine(num_lanes, threads, interruption.check, widest)
    from sweep.engines.sequential import SequentialEngine

    return SequentialEngine(pause=interruption.check)


def print_start(space: Space, url: str, name: str, device: Device | None, choice: EngineChoice) -> None:
    """Where the study is, what is sought, on what device and engine, and what the user should know of it."""
    print(f"study {name} in {database_path(url)}; {space.direction} {space.study.metric}; space {space.fingerprint}")
    print(f"device: {device.description if device else 'none (fake engine)'}")
    if device is not None and device.note:
        print(device.note)
    print(choice.line())


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
