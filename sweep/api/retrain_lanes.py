"""Set up the lanes and workers on which `retrain` trains seeds concurrently, if the options request it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from sweep.config.trial import TrialConfig
from sweep.data import content_hashes, load
from sweep.engines.auto import EngineChoice, Situation, choose, host_memory_bytes, operation_threads
from sweep.engines.placed import STREAMED, is_streamed
from sweep.engines.registry import make_engine
from sweep.executors.auto import choose_num_workers, gpu_memory_gb, start_workers
from sweep.executors.base import Executor
from sweep.executors.in_process import InProcessExecutor
from sweep.executors.pool import Workers
from sweep.models.cost import trial_cost
from sweep.models.lane_support import all_without_lanes
from sweep.options import EngineOptions, RetrainOptions, WorkerOptions
from sweep.plugins.user_code import contained

MakeExecutor = Callable[[], Executor]


def choose_lanes(config: TrialConfig, options: RetrainOptions, threads: int) -> EngineChoice | None:
    """Choose engine and lanes as the options request.

    Args:
        config: The config.
        options: The options.
        threads: Number of CPU threads.

    Returns:
        The choice; None for one seed at a time in this process, with checkpoints.
    """
    if options.engine == EngineOptions() and options.workers == WorkerOptions():
        return None
    dataset = load(config.data)
    num_processes = max(1, choose_num_workers(options.workers, None))
    situation = Situation(
        cost=trial_cost(config, dataset.image_shape, dataset.num_classes),
        device_kind="cpu",
        threads=max(1, threads // num_processes),
        memory_bytes=host_memory_bytes() // num_processes,
        num_trials=-(-options.seeds // num_processes),
        is_adaptive=False,
        without_lanes=(*all_without_lanes([config]), *((STREAMED,) if is_streamed(dataset) else ())),
    )
    choice = choose(situation, options.engine.engine, options.engine.lanes)
    return None if choice.engine == "sequential" and options.workers == WorkerOptions() else choice


@contextmanager
def lanes_for(
    config: TrialConfig,
    options: RetrainOptions,
    choice: EngineChoice | None,
    pause: Callable[[], None],
    say: Callable[[str], None],
) -> Iterator[MakeExecutor | None]:
    """Keep the requested workers running while the body runs.

    Args:
        config: The config.
        options: The options.
        choice: Engine and lanes, as returned by `choose_lanes`.
        pause: Called about once a second; may raise to interrupt.
        say: Called with each line for the user.

    Yields:
        A function that makes the executor; None without a choice.
    """
    if choice is None:
        yield None
        return
    widths = [config.model.lane_widths] if config.model.lane_widths else []
    num_workers = choose_num_workers(options.workers, None)
    started = start_workers(options.workers, num_workers, pause, say, [config.data], None)
    with started as workers, contained(*config.user_code if workers is None else ()):
        if workers is not None:
            yield partial(_on_workers, config, options, choice, workers, widths)
            return
        threads = options.device.threads or _cores()
        yield lambda: InProcessExecutor(
            make_engine(choice.engine, choice.num_lanes, threads, pause, widths), options.workers.trial_timeout_s
        )


def _on_workers(
    config: TrialConfig,
    options: RetrainOptions,
    choice: EngineChoice,
    workers: Workers,
    widths: list[tuple[int, ...]],
) -> Executor:
    threads = workers.resources.threads
    workers.set_up(
        options.device.device,
        threads,
        gpu_memory_gb(options.workers, options.device),
        operation_threads=operation_threads(choice.engine, threads),
        code=config.user_code,
        data=content_hashes([config.data]),
    )
    workers.make(choice.engine, choice.num_lanes, threads, widths)
    return workers


def _cores() -> int:
    return os.cpu_count() or 1
