"""MNIST: handwritten digits of 28 x 28, from its IDX files, or as Keras downloads it: see `sweep.data.published`."""

from sweep.data.arrays import Arrays
from sweep.data.idx import idx_arrays
from sweep.data.published import published


def load(path: str | None = None) -> Arrays:
    """60,000 images to train on and 10,000 of the test part. DataError if they are not where they are looked for."""
    return published("mnist", path, idx_arrays)
