"""Hyperparameter sweeps for Keras image classifiers on Optuna.

    import sweep
    study = sweep.run("space.toml", trials=30)
    study.dataframe()
    model = study.retrain(seeds=5).model

The public names are those of `__all__`; all else is private and may change. They are imported on first use, so that
`import sweep` loads neither Keras nor Optuna.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep import errors
    from sweep.api.running import load_study, run
    from sweep.api.spaces import load_space
    from sweep.api.study import Study
    from sweep.config.trial import TrialConfig
    from sweep.space.space import Space
    from sweep.tuning.callback import Callback
    from sweep.tuning.keras_callback import PruningCallback
    from sweep.tuning.objective import Objective

__version__ = version("sweep")
__all__ = [
    "Callback",
    "Objective",
    "PruningCallback",
    "Space",
    "Study",
    "TrialConfig",
    "__version__",
    "errors",
    "load_space",
    "load_study",
    "run",
]

_MODULES = {
    "Callback": "sweep.tuning.callback",
    "Objective": "sweep.tuning.objective",
    "PruningCallback": "sweep.tuning.keras_callback",
    "Space": "sweep.space.space",
    "Study": "sweep.api.study",
    "TrialConfig": "sweep.config.trial",
    "load_space": "sweep.api.spaces",
    "load_study": "sweep.api.running",
    "run": "sweep.api.running",
}


if not TYPE_CHECKING:  # type checkers know the names from above, and report any other one

    def __getattr__(name: str) -> Any:
        if name == "errors":
            return import_module("sweep.errors")
        if name not in _MODULES:
            raise AttributeError(f"module 'sweep' has no attribute {name!r}")
        return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
