"""Hyperparameter sweeps for Keras image classifiers on Optuna.

Only names are here; `import sweep` loads nothing heavy (see tests/test_imports.py).
"""

from importlib.metadata import version
from typing import Any

__version__ = version("sweep")
__all__ = ["Objective", "PruningCallback", "__version__"]

_HOMES = {"Objective": "sweep.tuning.objective", "PruningCallback": "sweep.tuning.keras_callback"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sweep' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
