"""KerasTuner's random search on one benchmark's work, as its guide teaches.

    python benchmarks/keras_tuner_loop.py digits --trials 4 --folder fresh-folder

Space, images, model, epochs and minibatch size are those of `fit_loop.py`. KerasTuner cannot be handed another
program's draws, so it draws the same number of trials from the same space itself. As it comes, it keeps the weights of
each trial's best epoch on disk and scores the trial by it.
"""

import argparse
from pathlib import Path
from typing import Any

import keras
import keras_tuner
from fit_loop import BATCH_SIZE, STUDY_SEED, WORKS, Work, build_model

from sweep.data import load

WITHOUT_PRUNING = [name for name, work in WORKS.items() if not work.is_adaptive]


def draw(hp: keras_tuner.HyperParameters, work: Work) -> dict[str, Any]:
    """The params of a trial."""
    params: dict[str, Any] = {
        "l2": hp.Float("l2", 1e-6, 1e-2, sampling="log"),
        "momentum": hp.Float("momentum", 0.0, 0.95),
        "initial_rate": hp.Float("initial_rate", 1e-4, 3e-3, sampling="log"),
        "decay_rate": hp.Float("decay_rate", 1e-5, 1e-2, sampling="log"),
    }
    for number, choices in enumerate(work.filters, start=1):
        params[f"filters_{number}"] = hp.Choice(f"filters_{number}", list(choices))
    return params


def search(work: Work, num_trials: int, epochs: int, folder: Path) -> None:
    """Draw, build and fit every trial."""
    dataset = load(work.data)
    keras.utils.set_random_seed(STUDY_SEED)
    tuner = keras_tuner.RandomSearch(
        lambda hp: build_model(draw(hp, work), work, dataset),
        objective="val_accuracy",
        max_trials=num_trials,
        seed=STUDY_SEED,
        directory=folder,
        project_name="search",
    )
    tuner.search(
        dataset.x_train,
        dataset.y_train,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        validation_data=(dataset.x_validation, dataset.y_validation),
        verbose=0,
    )


def main() -> None:
    """Run the search."""
    parser = argparse.ArgumentParser(description="KerasTuner's random search on one benchmark's work.")
    parser.add_argument("work", choices=WITHOUT_PRUNING)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--epochs", type=int, help="instead of the work's own")
    parser.add_argument("--folder", type=Path, required=True, help="a fresh folder for what KerasTuner writes")
    options = parser.parse_args()
    work = WORKS[options.work]
    search(work, options.trials, options.epochs or work.epochs, options.folder)


if __name__ == "__main__":
    main()
