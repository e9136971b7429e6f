"""Sets up the Keras backend before it is used: device, GPU memory, threads. Says what is in use.

auto    the first GPU if the Keras backend sees one, else the CPU
cpu     no GPU is touched
gpu:N   the N-th GPU; DeviceError, with the devices there are, if it is not there
"""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sweep.engines.cpu import BFLOAT16_FLAGS, cpu_flags, is_onednn_on, set_onednn
from sweep.errors import DeviceError
from sweep.text import counted

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
BFLOAT16_CAPABILITY = 8  # of NVIDIA GPUs: Ampere


@dataclass(frozen=True)
class Device:
    """The device in use. `name` is `cpu` or `gpu:N`; `note` is what the user should know, or empty.

    `onednn` says whether TensorFlow uses oneDNN on the CPU; None on JAX, which has no such choice. `has_fast_bfloat16`
    says whether mixed_bfloat16 is faster than float32.
    """

    name: str
    description: str
    keras_backend: str
    note: str = ""
    onednn: bool | None = None
    has_fast_bfloat16: bool = False

    @property
    def kind(self) -> str:
        """cpu or gpu."""
        return self.name.partition(":")[0]


def check_device_name(name: str) -> None:
    """DeviceError unless the name is auto, cpu or gpu:N."""
    if not re.fullmatch(r"auto|cpu|gpu:\d+", name):
        raise DeviceError(f"--device {name}: use auto, cpu or gpu:N, as in gpu:0")


def set_up_device(
    name: str,
    threads: int,
    gpu_memory_gb: float | None = None,
    *,
    operation_threads: int | None = None,
    onednn: bool | None = None,
) -> Device:
    """Import the Keras backend and bind it to the device. Call once, before anything else uses the backend.

    Args:
        name: auto, cpu or gpu:N.
        threads: CPU threads in all.
        gpu_memory_gb: A cap on GPU memory; without it TensorFlow takes what it needs.
        operation_threads: Threads of a single operation, all without it; JAX decides this itself.
        onednn: Whether TensorFlow uses oneDNN; None leaves it to TensorFlow and to TF_ENABLE_ONEDNN_OPTS.

    Returns:
        The device, and what is in force on it.

    Raises:
        DeviceError: There is no such device, or no such Keras backend.
    """
    check_device_name(name)
    if gpu_memory_gb is None:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX: grow instead of taking three quarters
    was_imported, ignored = "tensorflow" in sys.modules, set_onednn(onednn)
    with quiet_stderr():
        if import_keras() == "jax":
            device = _set_up_jax(name, threads, gpu_memory_gb)
        else:
            device = _set_up_tensorflow(name, threads, gpu_memory_gb, operation_threads or threads)
            device = _with_onednn(device, onednn if was_imported else None, ignored)
        return replace(device, has_fast_bfloat16=has_fast_bfloat16())


def _with_onednn(device: Device, wanted: bool | None, ignored: str) -> Device:
    """Say what is in force: where TensorFlow was imported before, nothing could be set any more."""
    is_on = is_onednn_on()
    late = "" if wanted in (None, is_on) else f"oneDNN is {'on' if is_on else 'off'}: TensorFlow was already imported"
    note = "; ".join(text for text in (device.note, ignored, late) if text)
    return replace(device, onednn=is_on, note=note)


def device_in_use() -> Device:
    """What Keras trains on in this process, however it was set up."""
    backend, threads = import_keras(), os.cpu_count() or 1
    if backend == "jax":
        import jax

        device = jax.config.jax_default_device or jax.devices()[0]
        is_cpu, kind = device.platform == "cpu", device.device_kind
        found = Device("cpu", "cpu", backend) if is_cpu else Device(f"gpu:{device.id}", kind, backend)
    else:
        found = replace(_tensorflow_in_use("auto", threads, threads, None), onednn=is_onednn_on())
    return replace(found, note="", has_fast_bfloat16=has_fast_bfloat16())


def has_fast_bfloat16() -> bool:
    """Whether mixed_bfloat16 is faster than float32 on the device that Keras uses in this process."""
    if import_keras() == "jax":
        import jax

        device = jax.config.jax_default_device or jax.devices()[0]
        return device.platform != "cpu" and _is_capable(getattr(device, "compute_capability", ""))
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        return _is_capable(tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", ""))
    return is_onednn_on() and bool(cpu_flags() & BFLOAT16_FLAGS)


def _is_capable(capability: Any) -> bool:
    """Of a GPU, "9.0" or (9, 0)."""
    major = re.match(r"\(?(\d+)", str(capability))
    return major is not None and int(major[1]) >= BFLOAT16_CAPABILITY


def import_keras() -> str:
    """Import Keras and name its backend. DeviceError if it is not one of ours, or not installed."""
    wanted = os.environ.get("KERAS_BACKEND", "")
    try:
        import keras

        backend = str(keras.backend.backend())
    except (ImportError, ValueError) as error:
        raise DeviceError(f"KERAS_BACKEND={wanted} cannot be imported ({error}); use tensorflow or jax") from None
    if backend not in ("tensorflow", "jax"):
        raise DeviceError(f"KERAS_BACKEND={backend} is not supported; use tensorflow or jax")
    return backend


def _set_up_tensorflow(name: str, threads: int, gpu_memory_gb: float | None, operation_threads: int) -> Device:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    index = _gpu_index(name, len(gpus), "tensorflow")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(operation_threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        tf.config.set_visible_devices([] if index is None else gpus[index], "GPU")
    except RuntimeError:  # it was used before, in a notebook perhaps, and takes no settings any more
        return _tensorflow_in_use(name, threads, operation_threads, index)
    if index is None:
        return _cpu(name, threads, "tensorflow", has_gpus=bool(gpus))
    if gpu_memory_gb is None:
        tf.config.experimental.set_memory_growth(gpus[index], True)
    else:
        limit = tf.config.LogicalDeviceConfiguration(memory_limit=round(gpu_memory_gb * 1024))
        tf.config.set_logical_device_configuration(gpus[index], [limit])
    model = tf.config.experimental.get_device_details(gpus[index]).get("device_name", "GPU")
    return Device(f"gpu:{index}", f"gpu:{index} ({model}), Keras on tensorflow", "tensorflow")


def _tensorflow_in_use(name: str, threads: int, operation_threads: int, index: int | None) -> Device:
    """The device as TensorFlow has it in this process; DeviceError if it is another one than is asked for."""
    import tensorflow as tf

    visible, every = tf.config.get_visible_devices("GPU"), tf.config.list_physical_devices("GPU")
    wanted = [] if index is None else [every[index]]
    if name != "auto" and visible != wanted:
        shown = ", ".join(f"gpu:{every.index(one)}" for one in visible) or "cpu"
        raise DeviceError(f"--device {name}: TensorFlow already uses {shown} in this process; restart it")
    in_force = tf.config.threading.get_intra_op_parallelism_threads()
    is_as_wanted = in_force == operation_threads
    note = (
        ""
        if is_as_wanted
        else (
            f"TensorFlow was used before in this process and keeps {in_force or 'all'} threads an operation, where "
            f"{operation_threads} would be taken: last bits of scores and speed may differ; restart it for the others"
        )
    )
    if not visible:
        return replace(_cpu(name, threads, "tensorflow", has_gpus=bool(every)), note=note)
    number = every.index(visible[0])
    model = tf.config.experimental.get_device_details(visible[0]).get("device_name", "GPU")
    return Device(f"gpu:{number}", f"gpu:{number} ({model}), Keras on tensorflow", "tensorflow", note)


def _set_up_jax(name: str, threads: int, gpu_memory_gb: float | None) -> Device:
    """JAX's CPU threads follow the cores that the process may use; its GPU share is a fraction of the card."""
    if gpu_memory_gb is not None:
        raise DeviceError("--gpu-memory-gb: JAX takes a fraction; set XLA_PYTHON_CLIENT_MEM_FRACTION instead")
    if hasattr(os, "sched_setaffinity") and threads < len(os.sched_getaffinity(0)):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    if name == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    gpus: list[Any] = [device for device in jax.devices() if device.platform != "cpu"]
    index = _gpu_index(name, len(gpus), "jax")
    if index is None:
        return _cpu(name, threads, "jax", has_gpus=bool(gpus))
    jax.config.update("jax_default_device", gpus[index])
    return Device(f"gpu:{index}", f"gpu:{index} ({gpus[index].device_kind}), Keras on jax", "jax")


def _gpu_index(name: str, num_gpus: int, backend: str) -> int | None:
    if name == "cpu" or (name == "auto" and not num_gpus):
        return None
    index = 0 if name == "auto" else int(name.removeprefix("gpu:"))
    if index >= num_gpus:
        there = ", ".join(["cpu", *(f"gpu:{number}" for number in range(num_gpus))])
        hint = _missing_gpu_note(backend)
        raise DeviceError(
            f"--device {name} is not there; Keras on {backend} sees: {there}{'. ' + hint if hint else ''}"
        )
    return index


def _cpu(name: str, threads: int, backend: str, *, has_gpus: bool) -> Device:
    note = "" if name == "cpu" or has_gpus else _missing_gpu_note(backend)
    return Device("cpu", f"cpu, {counted(threads, 'thread')}, Keras on {backend}", backend, note)


def _missing_gpu_note(backend: str) -> str:
    """A driver without CUDA libraries for the backend is the usual reason that a GPU stays unused."""
    if not NVIDIA_DRIVER.exists():
        return ""
    install = "pip install -e '.[gpu]'" if backend == "tensorflow" else "pip install 'jax[cuda12]'"
    return f"An NVIDIA driver is present, but Keras on {backend} sees no GPU; {install} brings what is missing"


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Around importing Keras: TensorFlow's C++ logs a page before its log level is read. Exceptions come through."""
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
