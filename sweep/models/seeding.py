"""Seeds of all generators that a model may draw from."""

import sys
from types import SimpleNamespace

import keras


def seed_generators(seed: int) -> None:
    """`keras.utils.set_random_seed`, which imports TensorFlow on every backend, without doing that on the others.

    Where something else has imported TensorFlow, it is seeded too.

    Args:
        seed: For Python, NumPy, Keras and its backend.

    """
    from keras.src.utils import rng_utils

    available = rng_utils.tf
    if keras.backend.backend() != "tensorflow" and "tensorflow" not in sys.modules:
        rng_utils.tf = SimpleNamespace(available=False)
    try:
        keras.utils.set_random_seed(seed)
    finally:
        rng_utils.tf = available
