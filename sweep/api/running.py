"""Provide `sweep.run` and `sweep.load_study`, the entry points of the Python API."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep.api.spaces import open_space
from sweep.api.study import Study
from sweep.api.training import training_options
from sweep.data import clear_cache
from sweep.errors import Interrupted
from sweep.options import EarlierOptions, RunOptions, StorageOptions, default_studies, seconds
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
    earlier: str | None = None,
    top: int | None = None,
    recheck: int | None = None,
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
    """Run a sweep, or resume an existing one: the same call continues a study that was interrupted.

    Args:
        space: Path of a space file, or a `Space`.
        trials: Total number of finished trials. Default: the space file's.
        timeout: Total time, across resumes: seconds, or text such as "90s", "10m", "2h". Default: no limit.
        study: Name of the study. Default: the space file's.
        seed: Seed of sampling, weights and minibatches. Default: the space file's.
        overrides: Fixed values that replace the file's: texts such as `"training.epochs=5"`, or a mapping from keys to
            values.
        sampler: Optuna sampler, as in "tpe:multivariate=true". Default: the space file's.
        pruner: Optuna pruner, as in "percentile:percentile=25". Default: the space file's.
        max_failures: Number of consecutive failed trials that stop the sweep. Default: 5, or 3 with the same error.
        callbacks: `sweep.Callback` objects, or names of installed ones.
        earlier: Study of the same database whose trials a new study starts from: finished if their scores hold, else
            run again. Default: none.
        top: Number of its best trials to take over. Default: all.
        recheck: Number of its best trials to run once more, to see whether their scores hold. Default: 0.
        quiet: Print no progress.
        studies: Folder of the database and of all outputs. Default: SWEEP_STUDIES if set, else "studies".
        storage: Database URL. Default: SWEEP_STORAGE if set, else the SQLite file in `studies`.
        engine: "packed", "sequential", or `module:attribute` for a custom engine. Default: the stored study's, else
            chosen automatically.
        lanes: Number of trials trained concurrently in each process. Default: the stored study's, else chosen
            automatically.
        device: "auto", "cpu" or "gpu:N".
        gpu_memory_gb: Limit on GPU memory, in GiB. Default: no limit.
        threads: Number of CPU threads. Default: all cores.
        workers: Number of worker processes that train; 0 trains in this process. A trial whose worker exits
            unexpectedly is retried. Default: 0, or the stored study's value on resume.
        retries: Number of retries for a trial whose worker exited unexpectedly. Default: 1.
        trial_timeout: Training time allowed for each attempt of a trial, as `timeout`. Default: no limit.
        gpus: Indices of GPUs; each gets a worker.
        slots_per_gpu: Number of workers that share a GPU. Default: 1.
        ray: Address of the Ray cluster that runs the workers: "auto", "host:port", or "local" to start one here.
        cpus_per_worker: Number of CPUs of each Ray worker.
        gpus_per_worker: Number of GPUs of each Ray worker; 0.5 to share one. Default: 0.

    Returns:
        The study, with its trials and methods to report, confirm, export and retrain.

    Raises:
        InputError: An argument or the space file is invalid; nothing was trained.
        NoUsableTrial: The sweep ended without a COMPLETE trial.
        SweepStopped: Too many consecutive trials failed.
        KeyboardInterrupt: The sweep was interrupted; all reported values are stored, and the same call resumes it.
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
        earlier=EarlierOptions(earlier, top, recheck),
        storage=where,
        **training_options(
            {
                "engine": engine,
                "lanes": lanes,
                "device": device,
                "gpu_memory_gb": gpu_memory_gb,
                "threads": threads,
                "workers": workers,
                "retries": retries,
                "trial_timeout": trial_timeout,
                "gpus": gpus,
                "slots_per_gpu": slots_per_gpu,
                "ray": ray,
                "cpus_per_worker": cpus_per_worker,
                "gpus_per_worker": gpus_per_worker,
            }
        ),
    )
    say: Callable[[str], None] = (lambda _: None) if quiet else print
    clear_cache()  # files of images may have changed since an earlier call in this process
    try:
        outcome = run_sweep(open_space(space, overrides, sampler, pruner), options, say)
    except Interrupted as interrupted:
        raise KeyboardInterrupt("the sweep was interrupted; repeat the call to resume") from interrupted
    for line in end_lines(outcome):
        say(line)
    return Study(outcome.name, where, print)


def load_study(name: str, *, studies: str | Path | None = None, storage: str | None = None) -> Study:
    """Load a study, to read its trials and to report, confirm, export and retrain them.

    Args:
        name: Name of the study.
        studies: Folder of the database and of all outputs. Default: SWEEP_STUDIES if set, else "studies".
        storage: Database URL. Default: SWEEP_STORAGE if set, else the SQLite file in `studies`.

    Returns:
        The study.

    Raises:
        StudyError: There is no such study.
    """
    return Study(name, StorageOptions(Path(studies) if studies is not None else default_studies(), storage), print)
