"""Pixel values -> what the model sees, by statistics of the train part alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.config.data import DataConfig
from sweep.data.chunks import chunks
from sweep.errors import DataError

Images = NDArray[np.float32]
COLUMNS = 8  # pixels whose mean and deviation are taken together: scikit-learn makes float64 copies of them


@dataclass(frozen=True, eq=False)
class Scaling:
    """(x - offset) / divisor, computed in the images' own dtype, integers in float64, and rounded to float32."""

    offset: NDArray[np.float64]  # () or (H, W, C)
    divisor: NDArray[np.float64]  # as the offset

    def __call__(self, images: NDArray[Any], rows: NDArray[np.int32] | None = None) -> Images:
        """Images (N, H, W, C), or these rows of them, scaled; a few megabytes at a time."""
        rows = np.arange(len(images), dtype=np.int32) if rows is None else rows
        scaled = np.empty((len(rows), *images.shape[1:]), np.float32)
        for chunk in chunks(scaled):
            scaled[chunk] = self._scale(images[rows[chunk]])
        return scaled

    @property
    def is_division(self) -> bool:
        """Whether it only divides, by one number for all pixels."""
        return self.divisor.ndim == 0 and not self.offset.any()

    def _scale(self, images: NDArray[Any]) -> NDArray[Any]:
        values = images.astype(images.dtype if images.dtype.kind == "f" else np.float64)
        values -= self.offset.astype(values.dtype)
        values /= self.divisor.astype(values.dtype)
        return values


def fit_scaling(images: NDArray[Any], train: NDArray[np.int32], config: DataConfig) -> Scaling:
    """The scaling of `config.scaling`, by the statistics of the rows `train`.

    unit        x / 255 for bytes, else x / largest |x|
    none        x
    standard    (x - mean) / standard deviation of each pixel, by scikit-learn's StandardScaler

    Raises:
        DataError: What is scaled would overflow float32, or the images' own dtype.

    """
    with np.errstate(over="ignore", invalid="ignore"):
        scaling = _fit(images, train, config)
        if images.dtype.kind == "f" and not _is_finite(scaling, images):
            raise DataError(
                f"images of values from {images.min():g} to {images.max():g} overflow {images.dtype} or float32 with "
                f'data.scaling = "{config.scaling}"; store them divided by a power of ten'
            )
    return scaling


def _fit(images: NDArray[Any], train: NDArray[np.int32], config: DataConfig) -> Scaling:
    if config.scaling == "standard":
        return _standard(images, train)
    divisor = 1.0 if config.scaling == "none" else _full_scale(images, train)
    return Scaling(np.zeros(()), np.asarray(divisor))


def _is_finite(scaling: Scaling, images: NDArray[Any]) -> bool:
    ends = np.stack([images.min(axis=0), images.max(axis=0)])
    return all(np.isfinite(numbers).all() for numbers in (scaling.offset, scaling.divisor, scaling(ends)))


def _full_scale(images: NDArray[Any], train: NDArray[np.int32]) -> float:
    """255 of bytes, else the largest absolute value; 1 if all are zero."""
    if images.dtype == np.uint8:
        return 255.0
    pixels = tuple(range(1, images.ndim))
    highest, lowest = images.max(axis=pixels)[train].max(), images.min(axis=pixels)[train].min()
    return max(float(highest), -float(lowest)) or 1.0


def _standard(images: NDArray[Any], train: NDArray[np.int32]) -> Scaling:
    """Fitted to a few columns at a time: bit for bit as to all at once."""
    from sklearn.preprocessing import StandardScaler

    flat = images.reshape(len(images), -1)
    parts = np.array_split(np.arange(flat.shape[1]), -(-flat.shape[1] // COLUMNS))
    scalers = [StandardScaler().fit(flat[train, part[0] : part[-1] + 1]) for part in parts]
    mean, deviation = (np.concatenate([getattr(s, name) for s in scalers]) for name in ("mean_", "scale_"))
    return Scaling(mean.reshape(images.shape[1:]), deviation.reshape(images.shape[1:]))
