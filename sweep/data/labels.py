"""Labels -> class numbers; what is wrong with them in one line."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.errors import DataError

Labels = NDArray[np.int32]


def count_classes(labels: NDArray[Any]) -> int:
    """Their number, by the largest label. DataError if labels are no whole numbers (N,)."""
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"labels have shape {labels.shape} and kind {labels.dtype}; whole numbers of shape (N,) are wanted"
        )
    num_classes = int(labels.max()) + 1
    if num_classes > len(labels):
        raise DataError(f"labels run to {num_classes - 1} for {len(labels)} images; number the classes from 0")
    return num_classes


def checked_labels(labels: NDArray[Any], num_classes: int) -> Labels:
    """As int32. DataError if one is not in 0 .. num_classes - 1."""
    if labels.min() < 0 or labels.max() >= num_classes:
        raise DataError(f"labels run from {labels.min()} to {labels.max()}; 0 to {num_classes - 1} are wanted")
    return labels.astype(np.int32)
