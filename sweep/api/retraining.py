"""Train an exported or hand-written config with one or more seeds, or repeat the sweep's run of it.

Modules that import Keras are imported inside of functions, as the device must be set up first.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.api.retrain_lanes import choose_lanes, lanes_for
from sweep.config.file import Provenance, read_config
from sweep.config.study_name import study_folder
from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.engines.auto import EngineChoice, operation_threads
from sweep.engines.cpu import default_onednn
from sweep.engines.device import Device, check_device_name
from sweep.engines.devices import set_up_device
from sweep.engines.precision import fast_precision, slow_precision_note
from sweep.engines.registry import make_engine
from sweep.errors import InputError
from sweep.executors.auto import check_worker_options
from sweep.executors.in_process import InProcessExecutor
from sweep.options import RetrainOptions
from sweep.plugins.user_code import code_of, contained, make_importable, recorded_code
from sweep.results.seed_results import stored_precision
from sweep.results.verify import TOLERANCE, Verification, check_recorded, verify
from sweep.system.interruption import Interruption
from sweep.text import counted

Say = Callable[[str], None]


@dataclass(frozen=True)
class Retrained:
    """The models of a config that was trained with one or more seeds.

    Attributes:
        folder: The folder of the models.
        metrics: The content of `metrics.json`.
        config: The config.
    """

    folder: Path
    metrics: dict[str, Any]
    config: TrialConfig

    @property
    def model(self) -> Any:
        """The `keras.Model` of the first seed. It takes images as they are in the data source, without scaling."""
        import keras

        return keras.models.load_model(self.folder / "model.keras")

    def lines(self) -> list[str]:
        """Format the scores and how to use the model.

        Returns:
            A line on the test accuracy, then lines of Python.
        """
        from sweep.results.saved_model import usage_lines

        accuracy, num_seeds = self.metrics["test_accuracy"], len(self.metrics["seeds"])
        deviation = accuracy["standard_deviation"]
        spread = "" if deviation is None else f", standard deviation {deviation:.4f}"
        of = f"{counted(num_seeds, 'seed')}, {counted(self.metrics['num_test'], 'test image')}"
        return [f"test accuracy {accuracy['mean']:.4f}{spread}, {of}", *usage_lines(self.folder, self.metrics)]

    @property
    def test_accuracy(self) -> float:
        """The mean test accuracy over the seeds."""
        return float(self.metrics["test_accuracy"]["mean"])


@dataclass(frozen=True)
class _Prepared:
    """A config, and the device that is set up to train it."""

    config: TrialConfig
    provenance: Provenance | None
    device: Device
    threads: int
    folder: Path
    choice: EngineChoice | None  # None: one seed after the other, with checkpoints


def retrain_config(path: Path, options: RetrainOptions, say: Say, overrides: Iterable[str] = ()) -> Retrained:
    """Train a config with one or more seeds and evaluate each model on the test set; finished seeds are kept.

    Args:
        path: The config file.
        options: The options.
        say: Called with each line for the user.
        overrides: Config values such as `"training.epochs=5"` that replace the file's.

    Returns:
        The models with their scores.

    Raises:
        InputError: The file, its data or the folder of the models cannot be used.
        Interrupted: A signal arrived; the same call resumes.
    """
    check_worker_options(options.workers, options.device)
    prepared = _prepare(path, options, say, overrides)
    from sweep.results.retrain import Retraining, retraining_lock

    config, folder = prepared.config, prepared.folder
    with Interruption() as interruption, contained(*config.user_code):
        dataset = load(config.data)
        say(f"{folder}: {len(dataset.train)} training and {len(dataset.validation)} validation images")
        say(f"images reach the model as float32 in {dataset.image_range}")
        if config.data.validation == "test":
            say("the validation images are the test set (data.validation): scores selected by it are biased upward")
        with (
            retraining_lock(folder),
            interruption.polled(),
            lanes_for(config, options, prepared.choice, interruption.check, say) as make_executor,
        ):
            retraining = Retraining(config, options.seeds, folder, say, interruption.check, make_executor)
            metrics = retraining.run()
    return Retrained(folder, metrics, config)


def verify_config(path: Path, options: RetrainOptions, say: Say, overrides: Iterable[str] = ()) -> Verification:
    """Repeat the sweep's run of an exported config, and compare the scores.

    Args:
        path: The config file, as `sweep export` wrote it.
        options: The options.
        say: Called with each line for the user.
        overrides: Config values such as `"data.path=images.npz"` that replace the file's.

    Returns:
        Both scores.

    Raises:
        InputError: The file has no provenance, or its run cannot be repeated here.
        ScoreMissed: The scores differ by more than the tolerance.
    """
    prepared = _prepare(path, options, say, overrides)
    config, provenance = prepared.config, prepared.provenance
    assert provenance is not None
    with Interruption() as interruption, contained(*config.user_code):
        check_recorded(config, provenance, prepared.device.keras_backend)
        widest = [tuple(widths) for widths in provenance.widest]
        engine = make_engine(provenance.engine, provenance.num_lanes, prepared.threads, interruption.check, widest)
        tolerance = TOLERANCE if options.tolerance is None else options.tolerance
        return verify(config, provenance, InProcessExecutor(engine), tolerance, say)


def _prepare(path: Path, options: RetrainOptions, say: Say, overrides: Iterable[str]) -> _Prepared:
    """Read the config, set up the device, and pass lines on both to `say`."""
    check_device_name(options.device.device)
    on = [] if options.train_on is None else [f"data.train_on={options.train_on}"]
    config, provenance = read_config(path, [*overrides, *on])
    recorded = recorded_code(provenance.code) if provenance else None
    if config.user_code:
        make_importable(recorded, path.resolve().parent, Path.cwd())
        code = code_of(*config.user_code)
        say(f"this runs your code: {code}")
        change = code.change_since(recorded)
        if change is not None:
            say(change)
    to_verify = provenance if options.verify else None
    if options.verify and to_verify is None:
        raise InputError(f"{path}: has no [provenance] to verify; use a file that `sweep export` wrote")
    threads = options.device.threads or (to_verify.threads if to_verify else os.cpu_count()) or 1
    choice = None if to_verify else choose_lanes(config, options, threads)
    engine = to_verify.engine if to_verify else choice.engine if choice else "sequential"
    device = set_up_device(
        options.device.device,
        threads,
        options.device.gpu_memory_gb,
        operation_threads=operation_threads(engine, threads),
        onednn=provenance.onednn if provenance else default_onednn(),
    )
    folder = models_folder(path, options, provenance)
    config = config.with_precision((None if to_verify else stored_precision(folder)) or fast_precision(device))
    lanes = choice.line() if choice is not None else ""
    for line in (f"device: {device.description}", device.note, slow_precision_note(device, [config]), lanes):
        if line:
            say(line)
    return _Prepared(config, provenance, device, threads, folder, choice)


def models_folder(path: Path, options: RetrainOptions, provenance: Provenance | None) -> Path:
    """Return the folder of a config's models.

    Args:
        path: The config file.
        options: The options; `out` takes precedence.
        provenance: Where the config came from; None for a hand-written one.

    Returns:
        `out`, else `models/NAME`, in the study's folder if the config was exported.
    """
    studies = options.storage.studies
    of_study = studies if provenance is None else study_folder(studies, provenance.study)
    return options.out or of_study / "models" / path.stem
