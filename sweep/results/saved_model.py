"""Write the files of a trained model for plain Keras, each atomically, and check before training that they will load.

`model.keras` is the complete model with its scaling and its optimizer, `model.json` its architecture,
`model.weights.h5` its weights. For a model that Keras cannot save or load, `model.weights.h5` contains the weights of
the network without its scaling, and `scaling.keras` is a model that scales raw images for it.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sweep.errors import InputError
from sweep.system.files import UNFINISHED, in_one_line, replacing, write_text
from sweep.text import error_line

MAX_CHARACTERS = 200  # of a Keras message; some are very long
TOLERANCE = 1e-3  # largest difference between outputs of the saved and the loaded model


@dataclass(frozen=True)
class SaveCheck:
    """Represent the result of saving and loading a model.

    Attributes:
        can_be_saved: Whether Keras can save the model.
        problem: What is wrong with the saved model; None if nothing is.
    """

    can_be_saved: bool = True
    problem: str | None = None

    @property
    def is_usable(self) -> bool:
        """Whether the saved model loads and computes the same outputs."""
        return self.problem is None


def check_saving(model: Any, images: NDArray[Any], folder: Path) -> SaveCheck:
    """Save a model to a folder, load it as a user would, compare the outputs, and remove the file.

    Args:
        model: A compiled `keras.Model` with its weights.
        images: A few images as the model takes them.
        folder: Folder in which the trained model will be saved.

    Returns:
        The result.

    Raises:
        InputError: The file cannot be written, as on a full disk.

    """
    path = folder / f"{UNFINISHED}.untrained.keras"  # removed by the next retrain if this process is killed
    try:
        with warnings.catch_warnings(action="ignore"), in_one_line(path):
            return _save_and_load(model, images, path)
    finally:
        with suppress(OSError):
            path.unlink()


def _save_and_load(model: Any, images: NDArray[Any], path: Path) -> SaveCheck:
    try:
        model.save(path)
        model.to_json()
    except OSError:
        raise
    except Exception as error:  # a user's get_config may raise anything
        return SaveCheck(can_be_saved=False, problem=_error_text(error))
    try:
        loaded = keras.models.load_model(path)
        expected, loaded_outputs = (np.asarray(one(images, training=False), np.float32) for one in (model, loaded))
    except Exception as error:
        return SaveCheck(problem=_error_text(error))
    is_same = np.allclose(expected, loaded_outputs, atol=TOLERANCE, equal_nan=True)
    return SaveCheck(
        problem=None if is_same else "the loaded model computes different outputs; complete its get_config"
    )


def _error_text(error: Exception) -> str:
    text = error_line(error)
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}..."


def save_weights(model: Any, folder: Path) -> None:
    """Write the weights of a `keras.Model` to `model.weights.h5` in a folder."""
    path = folder / "model.weights.h5"
    with replacing(path) as unfinished, _any_error_in_one_line(path):
        model.save_weights(unfinished)


def save_model(model: Any, folder: Path) -> None:
    """Write a `keras.Model` to `model.keras` in a folder, and its architecture to `model.json`."""
    path = folder / "model.keras"
    with replacing(path) as unfinished, _any_error_in_one_line(path):
        model.save(unfinished)
    write_text(folder / "model.json", model.to_json(indent=2))


def save_scaling(model: Any, folder: Path) -> None:
    """Write the `keras.Model` that scales raw images to `scaling.keras` in a folder."""
    path = folder / "scaling.keras"
    with replacing(path) as unfinished, _any_error_in_one_line(path):
        model.save(unfinished)


@contextmanager
def _any_error_in_one_line(path: Path) -> Iterator[None]:
    """Raise InputError for any error: HDF5 has its own for a failing disk, and the model is known to be savable."""
    try:
        yield
    except (OSError, InputError):
        raise
    except Exception as error:
        raise InputError(f"{path}: cannot be written ({_error_text(error)})") from None


def usage_lines(folder: Path, content: dict[str, Any]) -> list[str]:
    """Return Python lines that load the first seed's model and predict with it.

    Args:
        folder: The folder of the models.
        content: The content of its `metrics.json`.

    Returns:
        The lines.

    """
    result, model = content["seeds"][0], content["config"]["model"]
    if not result["takes_raw_images"]:
        return [f"{folder}/model.keras takes scaled images, as it was saved by an earlier version"]
    shape = ", ".join(map(str, ("N", *content["input_shape"])))
    comment = f"# images of shape ({shape}) as in the data; class names by column: {folder}/classes.json"
    if result["problem"] is None:
        return [f'model = keras.models.load_model("{folder}/model.keras")', f"model.predict(images)  {comment}"]
    build = model.get("builder") or f"{model['family']}.build"
    return [
        f'scaling = keras.models.load_model("{folder}/scaling.keras")',
        f"network = {build.replace(':', '.')}(...)  # with the arguments used in training; call it on images once",
        f'network.load_weights("{folder}/model.weights.h5")',
        f"network.predict(scaling.predict(images))  {comment}",
    ]
