"""TrialConfig -> a model with what it scored: N seeds, the test set evaluated once at the end of each.

Folder: `model.keras`, `model.json` (architecture), `model.weights.h5` of the first seed (the config's own), the same
for the other seeds in `seed-N/`, `classes.json` (class names), `metrics.json`, and `curves.html`, which grows while it
trains. The saved model takes raw images. On the sequential engine each epoch leaves a checkpoint, so that the same
command resumes after the last epoch; on the lanes of another executor seeds train side by side, and one that was cut
off begins anew. What can fail after training is tried before it: the test part is read and checked, the model is saved
and loaded. This is the only module that reads test data.
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
from sweep.engines.sequential import compiled_model
from sweep.errors import NO_LOCKS, NO_LOCKS_ERRORS, InputError, SweepError
from sweep.executors.base import Executor
from sweep.executors.in_process import InProcessExecutor
from sweep.executors.run_queue import QueuedRun, RunQueue
from sweep.results.curves import write_curves
from sweep.results.raw_model import scaling_model, takes_raw_images
from sweep.results.saved_model import SaveCheck, save_model, save_scaling, save_weights, try_to_save
from sweep.results.seed_results import (
    SeedResult,
    checked_history,
    read_results,
    readable,
    stored_epoch,
    write_results,
)
from sweep.space.runs import seeds_from, with_seed
from sweep.system.files import in_one_line, remove_unfinished, write_text
from sweep.system.process_lock import ProcessLock

EVALUATION_BATCH_SIZE = 256
NUM_TRIED = 2  # images that a model is given before it is trained


@contextmanager
def one_retraining(folder: Path) -> Iterator[None]:
    """Hold the folder's lock while the body runs, and remove what killed processes have left unfinished.

    Raises:
        InputError: Another process holds it, or the folder cannot be written.

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
            for place in (folder, *folder.glob("seed-*/")):
                remove_unfinished(place)
        yield


def _refusal(folder: Path, owner: str) -> InputError:
    return InputError(f"{folder}: process {owner} is training into it; wait for it, stop it, or use another --out")


class Retraining:
    """Trains one config from several seeds into a folder."""

    def __init__(
        self,
        config: TrialConfig,
        num_seeds: int,
        folder: Path,
        say: Callable[[str], None] = print,
        pause: Callable[[], None] = lambda: None,
        make_executor: Callable[[], Executor] | None = None,
    ) -> None:
        """Of what is in the folder, a seed that is done is kept, and one that was cut off is resumed.

        Args:
            config: What is trained; its own seed is the first.
            num_seeds: How many seeds.
            folder: Of the models.
            say: Takes each line for the user.
            pause: Called every second or so; may raise.
            make_executor: Of the lanes on which seeds are trained side by side; a seed that was cut off begins anew
                there. Default: the sequential engine, a seed after the other, each with checkpoints.

        Raises:
            InputError: The folder holds another config.

        """
        self._config, self._folder, self._say, self._pause = config, folder, say, pause
        self._make_executor = make_executor
        self._seeds = seeds_from(config.training.seed, num_seeds)
        self._results = read_results(folder, config)  # perhaps of more seeds than are asked for now
        self._write_results()  # the folder is this config's from now on

    def run(self) -> dict[str, Any]:
        """Train what is not trained yet; returns (and has written) the content of metrics.json."""
        to_train = [seed for seed in self._seeds if seed not in self._results or not self._results[seed].is_done]
        if to_train:
            self._train(to_train, self._try_what_comes_after())
        write_curves(self._folder, self._in_order(), is_done=True)
        return self._write_results()

    def _try_what_comes_after(self) -> SaveCheck:
        """Read and check the test part, save and load an untrained model."""
        shape = self._source_shape
        model = takes_raw_images(compiled_model(self._config, self._dataset), self._dataset.scaling, shape)
        check = try_to_save(model, self._dataset.images[:NUM_TRIED].reshape(-1, *shape), self._folder)
        if not check.is_usable:
            what = "loaded again" if check.can_be_saved else "saved; its weights and metrics will be"
            self._say(f"model.keras cannot be {what}: {check.problem}")
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
                        self._begin(run.key, stored.get(run.key, []))
                    self._keep(self._results[run.key], run.history[-1])
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
        """Those that a checkpoint holds; they are not trained again."""
        path = self._checkpoint(seed)
        if not path.exists():
            return []
        note = read_note(path)
        with readable(path):
            return checked_history(json.loads(note))

    def _begin(self, seed: int, history: list[dict[str, Any]]) -> None:
        self._results[seed] = SeedResult(seed, history)
        if history:
            self._say(f"seed {seed}: resumes after epoch {len(history)}")

    def _keep(self, result: SeedResult, metrics: EpochRecord) -> None:
        result.history.append(stored_epoch(metrics.values()))
        result.best_epoch = metrics.best_epoch or None
        self._say(epoch_line(result.seed, metrics, self._config.training.epochs))
        if metrics.not_finite():
            raise SweepError(f"seed {result.seed}: {not_finite_line(metrics)}")
        write_curves(self._folder, self._in_order(), is_done=False)

    def _finish(self, result: SeedResult, network: Any, check: SaveCheck) -> None:
        """Weights and scores first. A seed that is not marked as saved is trained again from its checkpoint."""
        scaling, shape = self._dataset.scaling, self._source_shape
        model = takes_raw_images(network, scaling, shape)
        folder = self._folder if result.seed == self._seeds[0] else self._folder / f"seed-{result.seed}"
        save_weights(model if check.is_usable else network, folder)
        result.test_loss, result.test_accuracy = evaluate(model, *load_raw_test(self._config.data))
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
        """Of an image as it is in the source: (H, W, C), or (H, W). The test part is read and checked for it."""
        return load_raw_test(self._config.data)[0].shape[1:]

    def _in_order(self) -> list[SeedResult]:
        """By seed, the config's own first; on lanes a later one may be done before it."""
        places = {seed: place for place, seed in enumerate(self._seeds)}
        return sorted(self._results.values(), key=lambda result: places.get(result.seed, len(places)))

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
    """(loss, accuracy) on images as the model takes them and labels int32 (N,), by Keras's own `evaluate`."""
    scores = model.evaluate(x_test, y_test, batch_size=EVALUATION_BATCH_SIZE, verbose=0, return_dict=True)
    return float(scores["loss"]), float(scores["accuracy"])


def epoch_line(seed: int, metrics: EpochRecord, num_epochs: int) -> str:
    """An epoch's metrics, learning rate and seconds in one line."""
    scores = "  ".join(f"{name} {value:.4f}" for name, value in metrics.logs.items() if name != LEARNING_RATE)
    rate = f"learning rate {metrics.logs[LEARNING_RATE]:.3g}"
    return f"seed {seed}: epoch {metrics.epoch}/{num_epochs}  {scores}  {rate}  {metrics.seconds:.2f} s"
