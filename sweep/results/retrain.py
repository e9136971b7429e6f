"""Train a config with one or more seeds, evaluate each model on the test set once, and save the models.

The folder contains `model.keras`, `model.json` (architecture) and `model.weights.h5` of the first seed, which is the
config's, the same files of the other seeds in `seed-N/`, `classes.json` (class names), `metrics.json`, and
`curves.html`, which is updated after each epoch. The saved models take raw images.

The sequential engine writes a checkpoint after each epoch, and the same command resumes from it. On the lanes of
another executor, seeds are trained concurrently without checkpoints, and an interrupted seed starts again. Steps that
could fail after training are tried before it: the test set is read and checked, an untrained model is saved and
loaded. This is the only module that reads the test set.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from sweep.config.trial import TrialConfig
from sweep.data import Dataset, load, load_raw_test
from sweep.engines.base import LEARNING_RATE, EpochRecord, not_finite_line
from sweep.engines.checkpoint import CheckpointingEngine, read_note
from sweep.engines.losses import encoded_labels
from sweep.engines.sequential import compiled_model
from sweep.errors import NO_LOCKS, NO_LOCKS_ERRORS, InputError, SweepError
from sweep.executors.base import Executor
from sweep.executors.in_process import InProcessExecutor
from sweep.executors.run_queue import QueuedRun, RunQueue
from sweep.results.curves import write_curves
from sweep.results.raw_model import raw_image_model, scaling_model
from sweep.results.saved_model import SaveCheck, check_saving, save_model, save_scaling, save_weights
from sweep.results.seed_results import (
    SeedResult,
    checked_history,
    read_results,
    reporting_unreadable,
    stored_epoch,
    write_results,
)
from sweep.space.runs import seeds_from, with_seed
from sweep.system.files import in_one_line, remove_unfinished, write_text
from sweep.system.process_lock import ProcessLock

EVALUATION_BATCH_SIZE = 256
NUM_CHECK_IMAGES = 2  # on which an untrained model is compared with its saved copy


@contextmanager
def retraining_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder while the body runs, and remove unfinished files that killed processes left.

    Args:
        folder: The folder of the models; it is created if it does not exist.

    Raises:
        InputError: Another process holds the lock, or the folder cannot be written.

    """
    lock = ProcessLock(folder / ".lock", lambda owner: _refusal(folder, owner))
    with ExitStack() as stack:
        with in_one_line(folder):
            try:
                stack.enter_context(lock)
            except OSError as error:
                if error.errno in NO_LOCKS_ERRORS:
                    raise InputError(f"{folder}: {NO_LOCKS}--out") from None
                raise
            for path in (folder, *folder.glob("seed-*/")):
                remove_unfinished(path)
        yield


def _refusal(folder: Path, owner: str) -> InputError:
    return InputError(f"{folder}: process {owner} is writing models to it; wait for it, stop it, or use another --out")


class Retraining:
    """Train one config with one or more seeds, and save the models in a folder."""

    def __init__(
        self,
        config: TrialConfig,
        num_seeds: int,
        folder: Path,
        say: Callable[[str], None] = print,
        pause: Callable[[], None] = lambda: None,
        make_executor: Callable[[], Executor] | None = None,
    ) -> None:
        """Read the results that the folder contains; their seeds are not trained again.

        Args:
            config: The config; its seed is the first one.
            num_seeds: Number of seeds.
            folder: Output folder of the models.
            say: Called with each line for the user.
            pause: Called about once a second; may raise to interrupt.
            make_executor: Returns the executor on whose lanes seeds are trained concurrently, without checkpoints.
                Default: the sequential engine, which trains one seed at a time, with checkpoints.

        Raises:
            InputError: The folder contains models of another config.

        """
        self._config, self._folder, self._say, self._pause = config, folder, say, pause
        self._make_executor = make_executor
        self._seeds = seeds_from(config.training.seed, num_seeds)
        self._results = read_results(folder, config)  # may contain more seeds than are requested now
        self._write_results()  # claims the folder for this config

    def run(self) -> dict[str, Any]:
        """Train and evaluate the seeds that are not done yet.

        Returns:
            The content of `metrics.json`, which has been written.
        """
        to_train = [seed for seed in self._seeds if seed not in self._results or not self._results[seed].is_done]
        if to_train:
            self._train(to_train, self._check_before_training())
        write_curves(self._folder, self._in_order(), is_done=True)
        return self._write_results()

    def _check_before_training(self) -> SaveCheck:
        """Read and check the test set; save and load an untrained model."""
        shape = self._source_shape
        model = raw_image_model(compiled_model(self._config, self._dataset), self._dataset.scaling, shape)
        check = check_saving(model, self._dataset.images[:NUM_CHECK_IMAGES].reshape(-1, *shape), self._folder)
        if not check.is_usable:
            failure = "loaded" if check.can_be_saved else "saved (weights and metrics will be)"
            self._say(f"model.keras cannot be {failure}: {check.problem}")
        return check

    def _train(self, seeds: Sequence[int], check: SaveCheck) -> None:
        stored = {} if self._make_executor is not None else {seed: self._stored_epochs(seed) for seed in seeds}
        runs = [QueuedRun(seed, f"seed {seed}", with_seed(self._config, seed)) for seed in seeds]
        with closing(self._executor()) as executor:
            queue = RunQueue(executor, runs, check=self._pause, notice=self._say, keeps_models=True)
            for changed in queue.rounds():
                for run in changed:
                    run.raise_if_lost()
                    if len(run.history) == 1:
                        self._start(run.key, stored.get(run.key, []))
                    self._add_epoch(self._results[run.key], run.history[-1])
                    if run.is_over:
                        self._finish(self._results[run.key], queue.model(run), check)
                        self._checkpoint(run.key).unlink(missing_ok=True)

    def _executor(self) -> Executor:
        if self._make_executor is not None:
            return self._make_executor()
        engine = CheckpointingEngine(lambda config: self._checkpoint(config.training.seed), self._pause)
        return InProcessExecutor(engine)

    def _checkpoint(self, seed: int) -> Path:
        return self._folder / f"checkpoint-{seed}.npz"

    def _stored_epochs(self, seed: int) -> list[dict[str, Any]]:
        """Return the epochs stored in the seed's checkpoint, which are not trained again."""
        path = self._checkpoint(seed)
        if not path.exists():
            return []
        note = read_note(path)
        with reporting_unreadable(path):
            return checked_history(json.loads(note))

    def _start(self, seed: int, history: list[dict[str, Any]]) -> None:
        self._results[seed] = SeedResult(seed, history)
        if history:
            self._say(f"seed {seed}: resumed after epoch {len(history)}")

    def _add_epoch(self, result: SeedResult, metrics: EpochRecord) -> None:
        result.history.append(stored_epoch(metrics.values()))
        result.best_epoch = metrics.best_epoch or None
        self._say(epoch_line(result.seed, metrics, self._config.training.epochs))
        if metrics.not_finite():
            raise SweepError(f"seed {result.seed}: {not_finite_line(metrics)}")
        write_curves(self._folder, self._in_order(), is_done=False)

    def _finish(self, result: SeedResult, network: Any, check: SaveCheck) -> None:
        """Evaluate and save the model; a seed not marked as saved is resumed from its checkpoint."""
        scaling, shape = self._dataset.scaling, self._source_shape
        model = raw_image_model(network, scaling, shape)
        folder = self._folder if result.seed == self._seeds[0] else self._folder / f"seed-{result.seed}"
        save_weights(model if check.is_usable else network, folder)
        images, labels = load_raw_test(self._config.data)
        encoded = encoded_labels(network.loss, labels, self._dataset.num_classes)
        result.test_loss, result.test_accuracy = evaluate(model, images, encoded)
        result.problem, result.takes_raw_images, result.is_saved = check.problem, True, False
        self._write_results()
        if check.can_be_saved:
            save_model(model, folder)
        if not check.is_usable:
            save_scaling(scaling_model(scaling, shape), folder)
        write_text(self._folder / "classes.json", json.dumps(self._dataset.class_names))
        result.is_saved = True
        self._write_results()
        self._say(f"seed {result.seed}: test accuracy {result.test_accuracy:.4f}, loss {result.test_loss:.4f}")

    @property
    def _dataset(self) -> Dataset:
        return load(self._config.data)

    @property
    def _source_shape(self) -> tuple[int, ...]:
        """The shape of an image in the data source: (H, W, C), or (H, W). Reads and checks the test set."""
        return load_raw_test(self._config.data)[0].shape[1:]

    def _in_order(self) -> list[SeedResult]:
        """Return the results by seed, the config's first; on lanes the seeds finish in any order."""
        ranks = {seed: rank for rank, seed in enumerate(self._seeds)}
        return sorted(self._results.values(), key=lambda result: ranks.get(result.seed, len(ranks)))

    def _write_results(self) -> dict[str, Any]:
        done = [result for result in self._in_order() if result.test_accuracy is not None]
        facts = {
            "config": self._config.values(),
            "num_train": len(self._dataset.train),
            "num_validation": len(self._dataset.validation),
            "num_test": len(load_raw_test(self._config.data)[1]) if done else None,
            "input_shape": list(self._source_shape) if done else None,
        }
        return write_results(self._folder, done, facts)


def evaluate(model: Any, x_test: Any, y_test: Any) -> tuple[float, float]:
    """Evaluate a model with `keras.Model.evaluate`.

    Args:
        model: A compiled `keras.Model`.
        x_test: Images as the model takes them, (N, ...).
        y_test: Labels as the loss takes them: see `encoded_labels`.

    Returns:
        Loss and accuracy.
    """
    scores = model.evaluate(x_test, y_test, batch_size=EVALUATION_BATCH_SIZE, verbose=0, return_dict=True)
    return float(scores["loss"]), float(scores["accuracy"])


def epoch_line(seed: int, metrics: EpochRecord, num_epochs: int) -> str:
    """Format an epoch's metrics, learning rate and seconds in one line.

    Args:
        seed: The seed of the training.
        metrics: The epoch's metrics.
        num_epochs: Number of epochs of the training.

    Returns:
        The line.
    """
    scores = "  ".join(f"{name} {value:.4f}" for name, value in metrics.logs.items() if name != LEARNING_RATE)
    rate = f"learning rate {metrics.logs[LEARNING_RATE]:.3g}"
    return f"seed {seed}: epoch {metrics.epoch}/{num_epochs}  {scores}  {rate}  {metrics.seconds:.2f} s"
