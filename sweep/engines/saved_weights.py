"""A trained model's weights as text, so that a model can go from a worker to the launcher; no pickle."""

import base64
import io
from typing import Any

import numpy as np

from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.engines.sequential import compiled_model


def encode_weights(model: Any) -> str:
    """The weights and statistics of a `keras.Model`: an `.npz` file in base 64."""
    file = io.BytesIO()
    np.savez(file, *model.get_weights())
    return base64.b64encode(file.getvalue()).decode()


def decode_model(config: TrialConfig, weights: str) -> Any:
    """The config's compiled `keras.Model` with these weights; its optimizer has no state yet."""
    model = compiled_model(config, load(config.data))
    with np.load(io.BytesIO(base64.b64decode(weights)), allow_pickle=False) as arrays:
        model.set_weights([arrays[name] for name in arrays.files])
    return model
