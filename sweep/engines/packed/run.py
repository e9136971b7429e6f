"""One trial on a lane: its epochs, schedule, early stopping and weights, whatever program and lanes it runs with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sweep.config.trial import TrialConfig
from sweep.data import Dataset
from sweep.engines.backends import current_backend
from sweep.engines.backends.base import LaneProgram, Pause
from sweep.engines.base import LEARNING_RATE, EpochRecord
from sweep.engines.packed.start import EpochInput, initial_arrays, learning_rates
from sweep.engines.packed.structure import Structure
from sweep.engines.packed.updates import momentum_products
from sweep.engines.placed import Arrays, Placed
from sweep.engines.predictions import Predictions
from sweep.engines.sequential import (
    best_epoch_of,
    compiled_model,
    early_stopping,
    minibatch_order,
    needs_outputs,
    predictions_of,
    scores_of,
)


class LaneRun:
    """One config being trained on a lane."""

    def __init__(
        self,
        config: TrialConfig,
        dataset: Dataset,
        structure: Structure,
        program: LaneProgram,
        placed: Placed,
        arrays: Arrays,
    ) -> None:
        """`arrays` are what the program takes: the placed ones, or patches cut from them."""
        self.program, self.placed, self.images = program, placed, current_backend().source(arrays, placed.divisor)
        self.key = (structure, placed.key)  # lanes of one key can share a call
        self.cost = math.inf  # seconds of its last epoch
        self.epoch, self.is_over, self.is_torn = 0, False, False  # torn: an epoch failed on the way
        self.has_metrics = needs_outputs(config, dataset)
        self._config, self._dataset, self._structure = config, dataset, structure
        self._steps_per_epoch = -(-len(placed.train) // config.training.batch_size)
        num_steps = self._steps_per_epoch * config.training.epochs
        self._rates = learning_rates(config, num_steps)
        self._products = momentum_products(config.optimizer.name, num_steps, keras.config.floatx())
        self.lane: Any = program.start(initial_arrays(config, structure, dataset))
        self._early_stopping = early_stopping(config)
        self.stop_training = False  # set by early stopping, which takes the run for its model
        if self._early_stopping is not None:
            self._early_stopping.set_model(self)
            self._early_stopping.on_train_begin()

    def epoch_input(self, epoch: int) -> EpochInput:
        """Of epoch 1, 2, ..."""
        first, last = (epoch - 1) * self._steps_per_epoch, epoch * self._steps_per_epoch
        train, validation = self.placed.train, self.placed.validation
        order = train[minibatch_order(self._config.training.seed, epoch, len(train))]
        return EpochInput(order, self._rates[first:last], self._products[first:last], np.int32(first), validation)

    def repeat(self, lanes_per_call: int, pause: Pause) -> None:
        """After an epoch that failed on the way: start anew, train to the end of the last one that was done."""
        arrays = initial_arrays(self._config, self._structure, self._dataset)
        self.program.release(self.lane)
        self.lane = self.program.start(arrays)
        for epoch in range(1, self.epoch + 1):
            self.program.train_epoch([self.lane], [self.epoch_input(epoch)], self.images, lanes_per_call, pause)
        self.is_torn = False

    def epoch_done(self, epoch: "TrainedEpoch", seconds: float) -> EpochRecord:
        """The record. Raises what the config's metrics raise."""
        self.epoch, self.cost = self.epoch + 1, seconds
        record = EpochRecord(self.epoch, self._logs(epoch), seconds)
        if self._early_stopping is not None:
            self._early_stopping.on_epoch_end(self.epoch - 1, dict(record.logs))
        if self.epoch < self._config.training.epochs and not self.stop_training:
            return record
        best_epoch = best_epoch_of(self._early_stopping, self.epoch)
        self.end()
        return replace(record, is_last=True, best_epoch=best_epoch)

    def end(self) -> None:
        """The run is over, once; early stopping then puts the best weights back."""
        if not self.is_over:
            self.is_over = True
            if self._early_stopping is not None:
                self._early_stopping.on_train_end()

    def release(self) -> None:
        """Give the lane's place in the program back."""
        self.program.release(self.lane)

    def model(self) -> Any:
        """A compiled `keras.Model` with the weights and statistics of now."""
        model, arrays = compiled_model(self._config, self._dataset), self.program.read(self.lane)
        for variable, values in zip(model.trainable_variables, arrays.weights, strict=True):
            variable.assign(values)
        moving = [variable for variable in model.non_trainable_variables if variable.name.startswith("moving_")]
        for variable, values in zip(moving, arrays.statistics, strict=True):
            variable.assign(values)
        return model

    def predictions(self, pause: Pause) -> Predictions:
        """What the lane predicts for the validation images with the weights of now; by itself, as others may train."""
        inputs, labels = self.epoch_input(self.epoch), self._dataset.labels[self._dataset.validation]
        outputs = self.program.predict([self.lane], [inputs], self.images, 1, pause)
        return predictions_of(self._config, labels, outputs[0])

    def get_weights(self) -> list[NDArray[Any]]:
        """As Keras's early stopping asks its model."""
        arrays = self.program.read(self.lane)
        return [*arrays.weights, *arrays.statistics]

    def set_weights(self, weights: Sequence[NDArray[Any]]) -> None:
        """Put back what `get_weights` gave."""
        number = len(self._structure.kernel.weight_shapes(self._config.model.lane_widths))
        self.program.write(self.lane, weights[:number], weights[number:])

    def _logs(self, epoch: "TrainedEpoch") -> dict[str, float]:
        sums = epoch.sums
        loss, accuracy = sums[0] / len(self.placed.train)  # in their dtype, as Keras's metrics are
        logs = {"loss": float(loss), "accuracy": float(accuracy)}
        if len(self.placed.validation):
            loss, accuracy = sums[1] / len(self.placed.validation)
            logs |= {"val_loss": float(loss), "val_accuracy": float(accuracy)}
        logs[LEARNING_RATE] = float(self._rates[self.epoch * self._steps_per_epoch])
        if self.has_metrics:
            logs |= scores_of(self._config, self._dataset.labels[self._dataset.validation], epoch.outputs)
        return logs


@dataclass(frozen=True)
class TrainedEpoch:
    """What an epoch of a lane gave."""

    sums: NDArray[Any]  # (2, 2) of training and validation, each of loss and hits
    outputs: Any = None  # (V, num_classes) for the validation part, where a metric asks for them


def train_together(runs: Sequence[LaneRun], lanes_per_call: int, pause: Pause) -> list[TrainedEpoch]:
    """One epoch of runs of one program, in a call of `lanes_per_call`; of each run what `epoch_done` takes.

    After a failure the runs are torn, which the next call repairs.
    """
    program = runs[0].program
    for run in runs:
        if run.is_torn:
            run.repeat(lanes_per_call, pause)
        run.is_torn = True
    lanes, inputs = [run.lane for run in runs], [run.epoch_input(run.epoch + 1) for run in runs]
    sums = program.train_epoch(lanes, inputs, runs[0].images, lanes_per_call, pause)
    outputs: Any = [None] * len(runs)
    if any(run.has_metrics for run in runs):
        outputs = program.predict(lanes, inputs, runs[0].images, lanes_per_call, pause)
    for run in runs:
        run.is_torn = False
    return [*map(TrainedEpoch, sums, outputs)]
