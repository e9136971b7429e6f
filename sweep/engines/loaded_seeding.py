"""Seeds the generators of the libraries that a user's function has loaded, and loads none."""

import random
import sys

import numpy as np


def seed_loaded(seed: int) -> None:
    """Seed Python and NumPy; Keras with its backend, and PyTorch, where they are imported."""
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    if "keras" in sys.modules:
        from sweep.models.seeding import seed_generators

        seed_generators(seed)
