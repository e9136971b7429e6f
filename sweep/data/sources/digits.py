"""scikit-learn's 1,797 digits of 8 x 8, from 0 to 16."""

import numpy as np

from sweep.data.arrays import Arrays, Pair


def load() -> Arrays:
    """They come with scikit-learn; a test part is split off."""
    return Arrays(train=_read)


def _read() -> Pair:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images.astype(np.float32), digits.target
