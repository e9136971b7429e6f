"""Bind Keras to a device before it is used, and say what is in use.

auto    the first GPU if the Keras backend sees one, otherwise the CPU
cpu     no GPU is touched
gpu:N   the N-th GPU; DeviceError, which lists the devices, if it does not exist
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sweep.engines.backends import BACKENDS, backend_name, current_backend
from sweep.engines.cpu import set_onednn
from sweep.engines.device import Device, check_device_name
from sweep.errors import DeviceError


def set_up_device(
    name: str,
    threads: int,
    gpu_memory_gb: float | None = None,
    *,
    operation_threads: int | None = None,
    onednn: bool | None = None,
) -> Device:
    """Import Keras and bind it to a device. Call once, before anything else uses Keras.

    Args:
        name: auto, cpu or gpu:N.
        threads: CPU threads in total.
        gpu_memory_gb: Cap on GPU memory in GiB. None: as much as is needed.
        operation_threads: CPU threads of a single operation; None: all. JAX chooses this itself.
        onednn: Whether TensorFlow uses oneDNN; None leaves it to TensorFlow and to TF_ENABLE_ONEDNN_OPTS.

    Returns:
        The device, with the settings that are in force.

    Raises:
        DeviceError: The device does not exist, or the Keras backend is not supported or not installed.
    """
    check_device_name(name)
    if gpu_memory_gb is None:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX: grow instead of taking three quarters
    was_imported, ignored = "tensorflow" in sys.modules, set_onednn(onednn)
    with quiet_stderr():
        import_keras()
        device = current_backend().set_up_device(name, threads, gpu_memory_gb, operation_threads or threads)
    return _with_onednn_notes(device, onednn if was_imported else None, ignored)


def device_in_use() -> Device:
    """Return the device that Keras trains on in this process, however it was set up."""
    import_keras()
    return replace(current_backend().device_in_use(os.cpu_count() or 1), note="")


def import_keras() -> str:
    """Import Keras and return the name of its backend.

    Raises:
        DeviceError: The backend is not supported or not installed.
    """
    try:
        return backend_name()
    except (ImportError, ValueError) as error:
        wanted, use = os.environ.get("KERAS_BACKEND", ""), " or ".join(BACKENDS)
        raise DeviceError(f"KERAS_BACKEND={wanted} cannot be imported ({error}); use {use}") from None


def _with_onednn_notes(device: Device, wanted: bool | None, ignored: str) -> Device:
    """Add to the note what is in force: if TensorFlow had been imported before, oneDNN could not be set any more."""
    if device.onednn is None:
        return device
    is_late = wanted not in (None, device.onednn)
    late = f"oneDNN is {'on' if device.onednn else 'off'}: TensorFlow was already imported" if is_late else ""
    return replace(device, note="; ".join(text for text in (device.note, ignored, late) if text))


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Silence standard error while Keras is imported: TensorFlow's C++ logs before it reads its log level."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    saved, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)
