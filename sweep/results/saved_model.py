"""The files of a trained model, for plain Keras: tried before it is trained, and written each whole or not at all.

`model.keras` is the whole model with its scaling and its optimizer, `model.json` its architecture, `model.weights.h5`
its weights. Of a model that Keras cannot save or load, `model.weights.h5` are the network's weights, and
`scaling.keras` makes what it takes out of raw images.
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

MOST_CHARACTERS = 200  # of Keras's messages, which explain at length
TOLERANCE = 1e-3  # of what the loaded model gives, beside the one that was saved


@dataclass(frozen=True)
class SaveCheck:
    """Whether Keras can save a model, and what is wrong with what it saves, or nothing."""

    can_be_saved: bool = True
    problem: str | None = None

    @property
    def is_usable(self) -> bool:
        """Whether what is saved loads as the same model."""
        return self.problem is None


def try_to_save(model: Any, images: NDArray[Any], folder: Path) -> SaveCheck:
    """Save a model into the folder as after training, load it as a user will, and remove it.

    Args:
        model: A compiled `keras.Model` with its weights.
        images: A few images as the model takes them.
        folder: Where the trained model will be saved.

    Raises:
        InputError: The folder cannot hold the file, be it that its disk is full.

    """
    path = folder / f"{UNFINISHED}.untrained.keras"  # which the next retrain removes after a kill
    try:
        with warnings.catch_warnings(action="ignore"), in_one_line(path):
            return _try_to_save(model, images, path)
    finally:
        with suppress(OSError):
            path.unlink()


def _try_to_save(model: Any, images: NDArray[Any], path: Path) -> SaveCheck:
    try:
        model.save(path)
        model.to_json()
    except OSError:
        raise
    except Exception as error:  # a user's get_config may raise anything
        return SaveCheck(can_be_saved=False, problem=_in_words(error))
    try:
        loaded = keras.models.load_model(path)
        expected, given = (np.asarray(one(images, training=False), np.float32) for one in (model, loaded))
    except Exception as error:
        return SaveCheck(problem=_in_words(error))
    is_same = np.allclose(expected, given, atol=TOLERANCE, equal_nan=True)
    return SaveCheck(
        problem=None if is_same else "the loaded model gives other outputs; its get_config lacks something"
    )


def _in_words(error: Exception) -> str:
    text = error_line(error)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."


def save_weights(model: Any, folder: Path) -> None:
    """Write `model.weights.h5`."""
    path = folder / "model.weights.h5"
    with replacing(path) as unfinished, _all_in_one_line(path):
        model.save_weights(unfinished)


def save_model(model: Any, folder: Path) -> None:
    """Write `model.keras`, and its architecture as `model.json`."""
    path = folder / "model.keras"
    with replacing(path) as unfinished, _all_in_one_line(path):
        model.save(unfinished)
    write_text(folder / "model.json", model.to_json(indent=2))


def save_scaling(model: Any, folder: Path) -> None:
    """Write `scaling.keras`."""
    path = folder / "scaling.keras"
    with replacing(path) as unfinished, _all_in_one_line(path):
        model.save(unfinished)


@contextmanager
def _all_in_one_line(path: Path) -> Iterator[None]:
    """HDF5 has errors of its own for a disk that fails; that the model can be saved is known before."""
    try:
        yield
    except (OSError, InputError):
        raise
    except Exception as error:
        raise InputError(f"{path}: cannot be written ({_in_words(error)})") from None


def how_to_use(folder: Path, content: dict[str, Any]) -> list[str]:
    """Lines that load the first seed's model and use it.

    Args:
        folder: Of the models.
        content: Of its metrics.json.

    """
    result, model = content["seeds"][0], content["config"]["model"]
    if not result["takes_raw_images"]:
        return [f"{folder}/model.keras takes scaled images: an earlier version has saved it"]
    shape = ", ".join(map(str, ("N", *content["input_shape"])))
    comment = f"# images of shape ({shape}) as in the data; {folder}/classes.json names the columns"
    if result["problem"] is None:
        return [f'model = keras.models.load_model("{folder}/model.keras")', f"model.predict(images)  {comment}"]
    build = model.get("builder") or f"{model['family']}.build"
    return [
        f'scaling = keras.models.load_model("{folder}/scaling.keras")',
        f"network = {build.replace(':', '.')}(...)  # called as in training, then with images, once",
        f'network.load_weights("{folder}/model.weights.h5")',
        f"network.predict(scaling.predict(images))  {comment}",
    ]
