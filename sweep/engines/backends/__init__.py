"""The Keras backends that can train, each a package that fulfills `base.Backend`.

To support another Keras backend, write such a package and add its line to `BACKENDS`. No other module asks which
backend Keras uses.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from sweep.errors import DeviceError

if TYPE_CHECKING:
    from sweep.engines.backends import jax, tensorflow
    from sweep.engines.backends.base import Backend

    _fulfilled: tuple[Backend, ...] = (tensorflow, jax)


@dataclass(frozen=True)
class BackendSpec:
    """What is known of a Keras backend before it is imported.

    Attributes:
        module: The package that fulfills `base.Backend`.
        lanes_on_gpu: How many lanes a GPU trains at a time; 1 where lanes would take turns.
        caps_gpu_memory: Whether `--gpu-memory-gb` can be set; otherwise an environment variable sets a fraction.
    """

    module: str
    lanes_on_gpu: int
    caps_gpu_memory: bool


BACKENDS = {
    "tensorflow": BackendSpec("sweep.engines.backends.tensorflow", lanes_on_gpu=1, caps_gpu_memory=True),
    "jax": BackendSpec("sweep.engines.backends.jax", lanes_on_gpu=128, caps_gpu_memory=False),
}


def backend_name() -> str:
    """Return the name of the backend that Keras uses in this process.

    Raises:
        DeviceError: There is no package for it.
    """
    import keras

    name = str(keras.backend.backend())
    if name not in BACKENDS:
        raise DeviceError(f"KERAS_BACKEND={name} is not supported; use {' or '.join(BACKENDS)}")
    return name


def current_backend() -> "Backend":
    """Import the package for the backend that Keras uses in this process.

    Returns:
        The package, which fulfills `base.Backend`.

    Raises:
        DeviceError: Keras uses a backend without such a package.
    """
    return cast("Backend", import_module(BACKENDS[backend_name()].module))
