"""`sweep.run`: all that the command of that name can, as a function."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep.api.spaces import open_space
from sweep.api.study import Study
from sweep.errors import Interrupted
from sweep.options import (
    DeviceOptions,
    EngineOptions,
    RunOptions,
    StorageOptions,
    WorkerOptions,
    default_studies,
    seconds,
)
from sweep.space.space import Space
from sweep.tuning.session import run_sweep
from sweep.tuning.summary import end_lines


def run(
    space: str | Path | Space,
    *,
    trials: int | None = None,
    timeout: str | float | None = None,
    study: str | None = None,
    seed: int | None = None,
    overrides: Iterable[str] | Mapping[str, Any] = (),
    sampler: str | None = None,
    pruner: str | None = None,
    max_failures: int | None = None,
    callbacks: Sequence[Any] = (),
    quiet: bool = False,
    studies: str | Path | None = None,
    storage: str | None = None,
    engine: str | None = None,
    lanes: int | None = None,
    device: str = "auto",
    gpu_memory_gb: float | None = None,
    threads: int | None = None,
    workers: int | None = None,
    retries: int | None = None,
    trial_timeout: str | float | None = None,
    gpus: Sequence[int] = (),
    slots_per_gpu: int | None = None,
    ray: str | None = None,
    cpus_per_worker: int | None = None,
    gpus_per_worker: float | None = None,
) -> Study:
    """Run a sweep to its limits, or resume it: the same call continues a study that was interrupted.

    Args:
        space: A space file, or a `Space`.
        trials: Finished trials in total. Default: the space file's.
        timeout: In total, across resumes: seconds, or "90s", "10m", "2h".
        study: The study's name. Default: the space file's.
        seed: Of sampling, weights and minibatches. Default: the space file's.
        overrides: `"training.epochs=5"` each, or a mapping of such keys, instead of what the file says.
        sampler: Instead of the file's, as in "tpe:multivariate=true".
        pruner: Instead of the file's, as in "percentile:percentile=25".
        max_failures: The sweep stops when so many trials in a row have failed.
        callbacks: `sweep.Callback` objects, or names of installed ones.
        quiet: Show no progress.
        studies: The folder of the database and of all outputs. Default: SWEEP_STUDIES, else "studies".
        storage: A database URL instead of the SQLite file there.
        engine: "packed", "sequential", or `module:attribute` of your own. Default: the study's, else automatic.
        lanes: Trials at a time in each process. Default: the study's, else automatic.
        device: "auto", "cpu" or "gpu:N".
        gpu_memory_gb: A cap on GPU memory, in GiB.
        threads: CPU threads. Default: all cores.
        workers: Processes that train; a trial survives the death of one. Default: 0, in this process.
        retries: How often a trial whose worker died is tried again. Default: 1.
        trial_timeout: Of training, for each attempt of a trial.
        gpus: Indices of the GPUs that get a worker each.
        slots_per_gpu: Workers that share a GPU. Default: 1.
        ray: The workers are actors of this Ray cluster: "auto", "host:port", or "local" for one started here.
        cpus_per_worker: CPUs of a Ray worker.
        gpus_per_worker: GPUs of a Ray worker; 0.5 shares one.

    Returns:
        The study, with its trials and all that can be done with them.

    Raises:
        InputError: Something that was given is not usable; nothing was trained.
        NoUsableTrial: The sweep ended without one COMPLETE trial.
        SweepStopped: Too many trials in a row failed.
        KeyboardInterrupt: The sweep was interrupted; it ended in order, and the same call resumes it.
    """
    where = StorageOptions(Path(studies) if studies is not None else default_studies(), storage)
    options = RunOptions(
        study=study,
        trials=trials,
        timeout_s=None if timeout is None else seconds(timeout),
        seed=seed,
        max_failures=max_failures,
        quiet=quiet,
        command="sweep.run(...)",
        callbacks=tuple(callbacks),
        storage=where,
        engine=EngineOptions(engine, lanes),
        device=DeviceOptions(device, gpu_memory_gb, threads),
        workers=WorkerOptions(
            workers=workers,
            retries=retries,
            trial_timeout_s=None if trial_timeout is None else seconds(trial_timeout),
            gpus=tuple(map(str, gpus)),
            slots_per_gpu=slots_per_gpu,
            ray=ray,
            cpus_per_worker=cpus_per_worker,
            gpus_per_worker=gpus_per_worker,
        ),
    )
    say: Callable[[str], None] = (lambda _: None) if quiet else print
    try:
        outcome = run_sweep(open_space(space, overrides, sampler, pruner), options, say)
    except Interrupted as interrupted:
        raise KeyboardInterrupt("the sweep ended in order; the same call resumes it") from interrupted
    for line in end_lines(outcome):
        say(line)
    return Study(outcome.name, where, print)


def load_study(name: str, *, studies: str | Path | None = None, storage: str | None = None) -> Study:
    """A study that exists, to read and to go on from: `.dataframe()`, `.best_trial`, `.confirm()`, `.retrain()`, ...

    Args:
        name: The study's.
        studies: The folder of its database and outputs. Default: SWEEP_STUDIES, else "studies".
        storage: A database URL instead of the SQLite file there.

    Raises:
        StudyError: There is no such study.
    """
    return Study(name, StorageOptions(Path(studies) if studies is not None else default_studies(), storage), print)
