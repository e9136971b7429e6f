"""Pixel values -> what the model sees, by statistics of the train part alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.config import DataConfig

Images = NDArray[np.float32]


def fit_scaling(x_train: NDArray[Any], config: DataConfig) -> Callable[[NDArray[Any]], Images]:
    if config.scaling == "standard":
        return _standard_scaling(x_train)
    full_scale = 255.0 if x_train.dtype == np.uint8 else float(np.abs(x_train).max()) or 1.0
    return lambda images: (images / full_scale).astype(np.float32)


def _standard_scaling(x_train: NDArray[Any]) -> Callable[[NDArray[Any]], Images]:
    """(x - mean) / standard deviation for each pixel, by scikit-learn's StandardScaler fitted on the train part."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(x_train.reshape(len(x_train), -1))

    def scale(images: NDArray[Any]) -> Images:
        if not len(images):  # no validation part
            return images.astype(np.float32)
        return scaler.transform(images.reshape(len(images), -1)).reshape(images.shape).astype(np.float32)  # type: ignore[no-any-return]

    return scale
