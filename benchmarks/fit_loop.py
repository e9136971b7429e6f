"""The plain loop that `sweep run` is measured against: Optuna and Keras's `fit`, as Optuna's Keras example teaches.

    python benchmarks/fit_loop.py digits --trials 4 --storage sqlite:///fit.db

One objective builds a model from suggested values and calls `fit`; `study.optimize` runs it; the study is in SQLite.
An adaptive work has TPE and, through Optuna's Keras callback, a median pruner; the others are random and prune nothing.
The images come through `sweep.data`, so that the split is the same. Only the seeds are not what one would write:
the sampler and Keras are seeded for each trial as sweep does it, so that with the random sampler both train the same
trials from the same initial weights (`fit` shuffles in an order of its own).
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import optuna
from keras import layers
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import RandomSampler, TPESampler

from sweep.config.data import DataConfig
from sweep.data import Dataset, load
from sweep.space.runs import derived_seed

STUDY_SEED = 0
BATCH_SIZE = 64
DENSE_UNITS = 120


WARMUP_EPOCHS = 5  # that the median pruner spares


@dataclass(frozen=True)
class Work:
    """What is trained: which images, how long, and what each convolution's filters may be."""

    data: DataConfig
    epochs: int
    padding: str
    filters: tuple[list[int] | range, ...]
    is_adaptive: bool = False


DIGITS = DataConfig(name="digits")
MNIST = DataConfig(name="mnist", num_train=10_000, num_validation=2_000)
WORKS = {
    "digits": Work(DIGITS, 20, "valid", ([16, 32], [32, 64])),
    "digits_same": Work(DIGITS, 20, "same", ([16, 32], [32, 64])),
    "digits_widths": Work(DIGITS, 20, "valid", (range(8, 65), range(8, 65)), is_adaptive=True),
    "mnist": Work(MNIST, 3, "valid", ([32, 64], [32, 64], [64, 128])),
}


def suggest(trial: optuna.Trial, work: Work) -> dict[str, Any]:
    """The params of a trial."""
    params: dict[str, Any] = {
        "l2": trial.suggest_float("l2", 1e-6, 1e-2, log=True),
        "momentum": trial.suggest_float("momentum", 0.0, 0.95),
        "initial_rate": trial.suggest_float("initial_rate", 1e-4, 3e-3, log=True),
        "decay_rate": trial.suggest_float("decay_rate", 1e-5, 1e-2, log=True),
    }
    for number, choices in enumerate(work.filters, start=1):
        name = f"filters_{number}"
        if isinstance(choices, range):
            params[name] = trial.suggest_int(name, choices[0], choices[-1])
        else:
            params[name] = trial.suggest_categorical(name, choices)
    return params


def build_model(params: dict[str, Any], work: Work, dataset: Dataset) -> keras.Model:
    """A compiled CNN: a pool after each convolution but the last, a dense layer, a softmax."""
    model = keras.Sequential([keras.Input(dataset.image_shape)])
    for number in range(1, len(work.filters) + 1):
        model.add(layers.Conv2D(params[f"filters_{number}"], 3, padding=work.padding, activation="relu"))
        if number < len(work.filters):
            model.add(layers.MaxPooling2D(2))
    penalty = keras.regularizers.L2(params["l2"])
    model.add(layers.Flatten())
    model.add(layers.Dense(DENSE_UNITS, activation="relu", kernel_regularizer=penalty))
    model.add(layers.Dense(dataset.num_classes, activation="softmax", kernel_regularizer=penalty))
    model.compile(build_optimizer(params), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build_optimizer(params: dict[str, Any]) -> keras.optimizers.Optimizer:
    """RMSprop with momentum, its rate falling with the inverse of the step."""
    schedule = keras.optimizers.schedules.InverseTimeDecay(params["initial_rate"], 1, params["decay_rate"])
    return keras.optimizers.RMSprop(schedule, momentum=params["momentum"])


def make_objective(work: Work, epochs: int) -> Callable[[optuna.Trial], float]:
    """trial -> validation accuracy after the last epoch."""
    dataset = load(work.data)

    def objective(trial: optuna.Trial) -> float:
        keras.backend.clear_session()
        keras.utils.set_random_seed(derived_seed(STUDY_SEED, trial.number))
        model = build_model(suggest(trial, work), work, dataset)
        history = model.fit(
            dataset.x_train,
            dataset.y_train,
            batch_size=BATCH_SIZE,
            epochs=epochs,
            validation_data=(dataset.x_validation, dataset.y_validation),
            callbacks=make_callbacks(trial, work),
            verbose=0,
        )
        return float(history.history["val_accuracy"][-1])

    return objective


def make_callbacks(trial: optuna.Trial, work: Work) -> list[Any]:
    """What reports each epoch and prunes, where the work wants it."""
    if not work.is_adaptive:
        return []
    from optuna_integration import KerasPruningCallback

    return [KerasPruningCallback(trial, "val_accuracy")]


def make_pruner(work: Work) -> BasePruner:
    """Optuna's callback counts epochs from 0, sweep from 1: one less is the same epoch."""
    return MedianPruner(n_startup_trials=5, n_warmup_steps=WARMUP_EPOCHS) if work.is_adaptive else NopPruner()


def seed_sampler(study: optuna.Study, number: int, work: Work) -> None:
    """Draw trial `number` from the seed that sweep draws it from."""
    sampler = TPESampler if work.is_adaptive else RandomSampler
    study.sampler = sampler(seed=derived_seed(STUDY_SEED, number))


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description="A plain Optuna and Keras `fit` loop on one benchmark's work.")
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--epochs", type=int, help="instead of the work's own")
    parser.add_argument("--storage", required=True, metavar="URL")
    options = parser.parse_args()
    work = WORKS[options.work]
    study = optuna.create_study(
        study_name=options.work, storage=options.storage, pruner=make_pruner(work), direction="maximize"
    )
    seed_sampler(study, 0, work)
    study.optimize(
        make_objective(work, options.epochs or work.epochs),
        n_trials=options.trials,
        callbacks=[lambda study, trial: seed_sampler(study, trial.number + 1, work)],
    )


if __name__ == "__main__":
    main()
