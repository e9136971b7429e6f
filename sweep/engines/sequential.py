"""Any Keras model, one lane. The same code on TensorFlow (Keras's default) and JAX.

Not Keras's `fit`: one compiled call runs many minibatches, and control comes back at each epoch's end, where Keras
callbacks run. Initial weights come from the seed, minibatch order from (seed, epoch) (`minibatch_order`), so that
another engine can follow the same trajectory. Explicit XLA is off on TensorFlow: on CPU it halved the speed.
"""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sweep.config.trial import TrialConfig
from sweep.data import Dataset, load
from sweep.engines.augmentation import augmentation_of
from sweep.engines.backends import current_backend
from sweep.engines.backends.base import CompiledSteps
from sweep.engines.base import LEARNING_RATE, EpochRecord
from sweep.engines.fine_tuning import is_second_phase, phase_epochs, phase_schedule
from sweep.engines.losses import build_loss, is_of_one_hot
from sweep.engines.optimizers import build_optimizer
from sweep.engines.placed import ImageStore, Placed
from sweep.engines.predictions import Predictions
from sweep.metrics import load_direction
from sweep.models.build import build_checked
from sweep.models.freezing import set_frozen
from sweep.models.own_compilation import check_logs

IMAGES_PER_CALL = 4096  # a second or so of work, so that a signal is seen within seconds


def minibatch_order(seed: int, epoch: int, num_images: int) -> NDArray[np.int32]:
    """The order (num_images,) in which epoch 1, 2, ... visits the training images: PCG64 seeded with (seed, epoch)."""
    return np.random.default_rng([seed, epoch]).permutation(num_images).astype(np.int32)


class SequentialEngine:
    """Follows the `Engine` protocol with one lane; every run builds its model anew."""

    num_lanes = 1

    def __init__(self, callbacks: Sequence[Any] = (), pause: Callable[[], None] = lambda: None) -> None:
        """Keras `callbacks` see every run; `pause` is called every second or so and may raise."""
        self._callbacks, self._pause = callbacks, pause
        self._run: TrainingRun | None = None
        self._store = ImageStore(current_backend())

    def admit(self, lane: int, config: TrialConfig) -> None:
        """Load the data, build and compile the model."""
        if self._run is not None:
            raise ValueError(f"lane {lane} is not free")
        dataset = load(config.data)
        self._run = TrainingRun(config, dataset, self._store.place(dataset), self._callbacks, self._pause)

    def evict(self, lane: int) -> None:
        """Forget the run; callbacks see `on_train_end`."""
        if self._run is not None:
            self._run.end()
        self._run = None

    def train_epoch(self, lanes: Collection[int] | None = None) -> dict[int, EpochRecord]:
        """One epoch of training and validation."""
        if self._run is None or self._run.is_over or 0 not in ((0,) if lanes is None else lanes):
            return {}
        return {0: self._run.train_epoch()}

    def model(self, lane: int) -> Any:
        """The model being trained."""
        return self.run(lane).model

    def predictions(self, lane: int) -> Predictions:
        """What the model predicts for the validation images with its current weights."""
        return self.run(lane).predictions()

    def run(self, lane: int) -> "TrainingRun":
        """The run itself, for a checkpoint."""
        if self._run is None:
            raise ValueError(f"lane {lane} is free")
        return self._run


class TrainingRun:
    """One config being trained: model, compiled steps, callbacks and the epochs done."""

    def __init__(
        self,
        config: TrialConfig,
        dataset: Dataset,
        placed: Placed,
        callbacks: Sequence[Any],
        pause: Callable[[], None],
    ) -> None:
        self.config = config
        self.model = compiled_model(config, dataset)
        self.is_over, self._is_second_phase = False, False
        self._num_images = len(dataset.train)
        self._validation_labels = dataset.labels[dataset.validation]
        self._has_metrics = needs_outputs(config, dataset)
        self._augmentation = augmentation_of(config, dataset, is_of_one_hot(self.model.loss))
        self._dataset, self._placed, self._pause = dataset, placed, pause
        self._steps = self._compiled_steps()
        self.epoch = 0
        self.early_stopping = early_stopping(config)
        own = [self.early_stopping] if self.early_stopping is not None else []
        self._num_steps = -(-self._num_images // config.training.batch_size)
        self._callbacks = keras.callbacks.CallbackList(
            [*own, *callbacks], model=self.model, epochs=config.training.epochs, steps=self._num_steps, verbose=0
        )
        self.model.stop_training = False
        self._callbacks.on_train_begin()

    def train_epoch(self) -> EpochRecord:
        """Train and validate once, run the callbacks, say whether this was the last epoch."""
        started = time.perf_counter()
        self.epoch += 1
        self.enter_phase(self.epoch)
        self._callbacks.on_epoch_begin(self.epoch - 1)  # Keras counts from 0
        self.model.reset_metrics()
        seed = self.config.training.seed
        self._steps.train(
            minibatch_order(seed, self.epoch, self._num_images),
            self._augmentation.step_seeds(seed, self.epoch, self._num_steps),
        )
        logs = self._read_logs()
        if len(self._validation_labels):
            logs |= self._validate()
        logs[LEARNING_RATE] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        if self._has_metrics:
            logs |= scores_of(self.config, self._validation_labels, self._steps.predict())
        self._callbacks.on_epoch_end(self.epoch - 1, dict(logs))  # which callbacks may change
        return self._record(logs, time.perf_counter() - started)

    def enter_phase(self, epoch: int) -> None:
        """Unfreeze layers and compile the model again if epoch 1, 2, ... is in the second phase and this is not."""
        if is_second_phase(self.config, epoch) and not self._is_second_phase:
            self._is_second_phase = True
            set_frozen(self.model, self.config, frozen=False)
            compile_model(self.model, self.config, self._dataset, epoch)
            self._steps = self._compiled_steps()

    def _compiled_steps(self) -> CompiledSteps:
        return current_backend().compiled_steps(
            self.model,
            self._placed,
            self.config.training.batch_size,
            IMAGES_PER_CALL,
            self._pause,
            self._augmentation,
        )

    def _validate(self) -> dict[str, float]:
        self._callbacks.on_test_begin()
        self.model.reset_metrics()
        self._steps.validate()
        scores = self._read_logs()
        self._callbacks.on_test_end(scores)
        return {f"val_{name}": value for name, value in scores.items()}

    def end(self) -> None:
        """Run the callbacks' `on_train_end`, once; early stopping then puts the best weights back."""
        if not self.is_over:
            self.is_over = True
            self._callbacks.on_train_end()

    def predictions(self) -> Predictions:
        """What the model predicts for the validation images with its current weights."""
        return predictions_of(self.config, self._validation_labels, self._steps.predict())

    def _read_logs(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.model.get_metrics_result().items()}

    def _record(self, logs: dict[str, float], seconds: float) -> EpochRecord:
        is_last = self.epoch == self.config.training.epochs or self.model.stop_training
        best_epoch = best_epoch_of(self.early_stopping, self.epoch) if is_last else 0
        if is_last:
            self.end()
        return EpochRecord(self.epoch, logs, seconds, is_last, best_epoch)


def needs_outputs(config: TrialConfig, dataset: Dataset) -> bool:
    """Whether the config's metrics are computed from the outputs for the validation part."""
    return len(dataset.validation) > 0 and bool(config.training.computed_metrics)


def scores_of(config: TrialConfig, labels: NDArray[np.int32], outputs: NDArray[Any]) -> dict[str, float]:
    """The config's metrics, from labels (V,) and the model's outputs (V, num_classes). Raises what they raise."""
    from sweep.metrics.scores import scores

    training = config.training
    return scores(training.computed_metrics, labels, outputs, from_logits=training.from_logits)


def predictions_of(config: TrialConfig, labels: NDArray[np.int32], outputs: NDArray[Any]) -> Predictions:
    """Labels (V,) with the probabilities that the model's outputs (V, num_classes) stand for."""
    from sweep.metrics.scores import probabilities_of

    return Predictions(labels, probabilities_of(outputs, from_logits=config.training.from_logits))


def compiled_model(config: TrialConfig, dataset: Dataset) -> Any:
    """The config's `keras.Model` with loss, accuracy and optimizer, everything built."""
    model = build_checked(config, dataset)
    if model.compiled:  # by the user's builder
        _build_variables(model, config, dataset)
        check_logs(model.get_metrics_result(), config)
    else:
        compile_model(model, config, dataset)
    return model


def compile_model(model: Any, config: TrialConfig, dataset: Dataset, epoch: int = 1) -> None:
    """Compile the config's model for the phase of training that an epoch belongs to: see `fine_tuning`."""
    num_steps = -(-len(dataset.train) // config.training.batch_size) * phase_epochs(config, epoch)
    optimizer = build_optimizer(config.optimizer, phase_schedule(config, epoch), num_steps)
    model.compile(optimizer, loss=build_loss(config), metrics=["accuracy"], jit_compile=False)
    _build_variables(model, config, dataset)


def _build_variables(model: Any, config: TrialConfig, dataset: Dataset) -> None:
    few, encode = dataset.train[:2], augmentation_of(config, dataset, is_of_one_hot(model.loss)).encode
    # JAX's train_step takes the optimizer's and metrics' variables as they are: they must exist before it
    model._symbolic_build(data_batch=(dataset.scaling(dataset.images, few), encode(dataset.labels[few])))
    model.optimizer.build(model.trainable_variables)


def early_stopping(config: TrialConfig) -> Any:
    """Keras's callback of that name, which puts the best weights back; None without `training.patience`."""
    training = config.training
    if training.patience is None:
        return None
    mode = "min" if load_direction(training.monitor) == "minimize" else "max"
    return keras.callbacks.EarlyStopping(
        training.monitor, patience=training.patience, mode=mode, restore_best_weights=True
    )


def best_epoch_of(stopping: Any, last_epoch: int) -> int:
    """The epoch (1 for the first) whose weights early stopping keeps; the last one without it."""
    return last_epoch if stopping is None or stopping.best_weights is None else int(stopping.best_epoch) + 1
