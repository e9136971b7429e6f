"""Run a sweep from options and space to its outcome: probe -> plan -> study -> tuner.

Everything is checked before the study is opened. One process at a time holds the study's lock. Nothing is printed here;
lines for the user are passed to `say`.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from optuna.trial import FrozenTrial

from sweep.config.study_name import study_folder
from sweep.config.study_settings import StudySettings
from sweep.engines.device import check_device_name
from sweep.engines.registry import ENGINES, make_engine
from sweep.errors import StudyError
from sweep.executors.auto import check_worker_options, choose_num_workers, start_workers
from sweep.executors.base import Executor
from sweep.executors.in_process import InProcessExecutor
from sweep.executors.pool import Workers
from sweep.options import RunOptions
from sweep.pareto import best_first
from sweep.plugins.user_code import code_of, contained, prepend_to_path
from sweep.space.space import Space
from sweep.storage import back_up, database_url, study_lock
from sweep.system.interruption import Interruption
from sweep.tuning.best_predictions import BestPredictions
from sweep.tuning.callback import Callback
from sweep.tuning.callback_list import CALLBACKS, make_callbacks
from sweep.tuning.limits import Limits
from sweep.tuning.plan import RunPlan, check_function_options, plan
from sweep.tuning.probing import (
    DataSummary,
    Say,
    check_names,
    code_line,
    probe_device,
    probe_function,
    probe_machine,
    source_line,
    summarize_data,
    with_threads,
)
from sweep.tuning.progress import Scoreboard, make_progress
from sweep.tuning.pruners import check_reports
from sweep.tuning.study import SweepStudy, open_study, stored_settings
from sweep.tuning.summary import adopted_line, start_lines
from sweep.tuning.transfer import transfer_to
from sweep.tuning.tuner import Tuner


@dataclass(frozen=True)
class Outcome:
    """How a sweep ended.

    Attributes:
        name: Name of the study.
        url: URL of its database.
        space: The space, with an explicit precision.
        settings: The settings that are stored with the study.
        trials: All trials, by number.
        best: The best trial, or the Pareto-optimal ones.
        is_timed_out: Whether the timeout was reached before all trials were finished.
        is_exhausted: Whether every combination of the space was tried.
        had_nothing_to_do: Whether all trials were finished at the start.
    """

    name: str
    url: str
    space: Space
    settings: StudySettings
    trials: tuple[FrozenTrial, ...]
    best: tuple[FrozenTrial, ...]
    is_timed_out: bool
    is_exhausted: bool
    had_nothing_to_do: bool


def run_sweep(space: Space, options: RunOptions, say: Say) -> Outcome:
    """Run or resume a sweep until a limit is reached.

    Args:
        space: The space.
        options: The requested options.
        say: Called with each line for the user.

    Returns:
        How the sweep ended.

    Raises:
        InputError: Options, space, data, device or study are invalid; nothing was trained.
        SweepStopped: Too many consecutive trials failed.
        WorkersLost: The Ray cluster of the workers was lost.
        Interrupted: SIGINT, SIGTERM or SIGHUP arrived; the study can be resumed.
    """
    check_options(space, options)
    callbacks = _named_code(options, say)
    say_source(space, say)
    data = summarize_data(space)
    name = space.study.name if options.study is None else options.study
    url = database_url(options.storage.studies, options.storage.storage)
    with Interruption() as interruption, study_lock(url, name) as lock:
        stored = stored_settings(url, name, adopts=space.is_own_function)
        if stored is None:
            check_reports(space)
        back_up(url)
        with workers_for(space, options, stored, interruption, say) as workers:
            made = probe_and_plan(space, options, stored, data, workers, say)
            taken = transfer_to(url, name, options.earlier, made, stored)
            study = open_study(url, name, made.space, made.settings, stored, taken)
            study.ended_in_order = lock.ended_in_order
            with closing(study.write_behind):
                notes = (adopted_line(study), study.code_change(), *(taken.lines() if taken is not None else ()))
                for line in (*notes, *([] if options.quiet else start_lines(made, url, name))):
                    if line is not None:
                        say(line)
                return _run_to_limits(study, made, options, callbacks, url, interruption, workers)


def check_options(space: Space, options: RunOptions) -> None:
    """Raise InputError for options that contradict each other or the space. Reads no data."""
    check_device_name(options.device.device)
    check_worker_options(options.workers, options.device)
    check_names(space, space.study.seed if options.seed is None else options.seed)
    if space.function is not None:
        check_function_options(options, space)
    if options.engine.engine is not None:
        ENGINES.check(options.engine.engine)


def say_source(space: Space, say: Say) -> None:
    """Print that a user's data source is about to be called."""
    line = source_line(space)
    if line is not None:
        say(line)


def _named_code(options: RunOptions, say: Say) -> list[Callback]:
    """Create the callbacks. The user code that the options name is printed before it runs."""
    named = [CALLBACKS.code_of(name) for name in options.callbacks if isinstance(name, str)]
    named += [ENGINES.code_of(options.engine.engine)] if options.engine.engine is not None else []
    for code in filter(None, named):
        prepend_to_path(Path.cwd())
        say(f"this runs your code: {code_of(code)}")
    return make_callbacks(options.callbacks)


@contextmanager
def workers_for(
    space: Space, options: RunOptions, stored: StudySettings | None, interruption: Interruption, say: Say
) -> Iterator[Workers | None]:
    """Start the workers; None if this process trains, where exits of user code are then converted to errors."""
    num_workers = choose_num_workers(options.workers, stored.num_workers if stored else None)
    threads = stored.threads if stored else None
    data = space.data_configs()
    started = start_workers(options.workers, num_workers, interruption.check, say, data, threads)
    with started as workers, contained(*space.user_code if workers is None else ()):
        yield workers


def probe_and_plan(
    space: Space,
    options: RunOptions,
    stored: StudySettings | None,
    data: DataSummary,
    workers: Workers | None,
    say: Say,
    *,
    may_have_workers: bool = True,
) -> RunPlan:
    """Probe everything, set up the device, and make the plan. `may_have_workers`: the command has `--workers`."""
    line = code_line(space, workers=workers, may_have_workers=may_have_workers)
    if line is not None:
        say(line)
    probe = with_threads(probe_machine(space, data, workers), options, stored.threads if stored else None)
    if space.function is not None:
        made = plan(options, space, stored, probe)
        probe_function(made.settings, space, workers, options.device.device)
        return made
    first = plan(options, space, stored, probe)
    if not first.needs_device:
        return first
    onednn = stored.onednn if stored is not None else probe.onednn
    engine, threads = first.choice.engine, probe.resources.threads
    device = probe_device(options.device, options.workers, space, engine, threads, onednn, workers)
    return plan(options, space, stored, replace(probe, device=device))


def plan_more_runs(
    space: Space, options: RunOptions, stored: StudySettings, workers: Workers | None, say: Say
) -> RunPlan:
    """Make the plan for more runs of an existing study. Raise StudyError if the data has changed since the sweep."""
    data = summarize_data(space)
    if data.content_hash != stored.data_hash:
        raise StudyError("the data has changed since the sweep (its hash differs); correct data.path or SWEEP_DATA")
    return probe_and_plan(space, options, stored, data, workers, say, may_have_workers=False)


def make_executor(
    made: RunPlan, interruption: Interruption, workers: Workers | None = None, trial_timeout_s: float | None = None
) -> Executor:
    """Create the executor of a plan: on the workers, or with an engine in this process if there are none."""
    settings, widest = made.settings, made.space.widest()
    if workers is not None:
        workers.make(settings.engine, settings.num_lanes, settings.threads, widest)
        return workers
    gc.freeze()  # Keras runs garbage collection before each model, which then skips the objects of the imports
    engine = make_engine(settings.engine, settings.num_lanes, settings.threads, interruption.check, widest)
    return InProcessExecutor(engine, trial_timeout_s)


def _run_to_limits(
    study: SweepStudy,
    made: RunPlan,
    options: RunOptions,
    callbacks: Sequence[Callback],
    url: str,
    interruption: Interruption,
    workers: Workers | None,
) -> Outcome:
    """Run the tuner until a limit is reached, and show the progress."""
    if Scoreboard.of(study.info(made.num_trials)).is_done:
        return _outcome(study, made, url, had_nothing_to_do=True)
    limits = Limits(made.num_trials, options.timeout_s, options.max_failures)
    tuner = Tuner(
        study,
        made.space,
        make_executor(made, interruption, workers, options.workers.trial_timeout_s),
        limits,
        make_progress(quiet=options.quiet),
        made.settings.seed,
        interruption,
        callbacks,
        _best_predictions(study, made.space, options.storage.studies),
    )
    return _outcome(study, made, url, is_timed_out=tuner.run())


def _best_predictions(study: SweepStudy, space: Space, studies: Path) -> BestPredictions | None:
    """None where nothing is to be kept, or a function is called."""
    limit = space.study.keep_predictions
    if limit == 0 or space.function is not None:
        return None
    return BestPredictions(study_folder(studies, study.study_name), limit, study.directions[0], study.frozen_trials())


def _outcome(
    study: SweepStudy, made: RunPlan, url: str, *, is_timed_out: bool = False, had_nothing_to_do: bool = False
) -> Outcome:
    trials = study.frozen_trials()
    best = best_first(trials, study.directions)
    return Outcome(
        name=study.study_name,
        url=url,
        space=made.space,
        settings=made.settings,
        trials=tuple(trials),
        best=tuple(best[:1] if len(study.directions) == 1 else best),
        is_timed_out=is_timed_out,
        is_exhausted=study.num_left() == 0,
        had_nothing_to_do=had_nothing_to_do,
    )
