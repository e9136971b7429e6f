"""`Device`: what Keras trains on, as the backends describe it. The words and checks here are common to all of them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.errors import DeviceError
from sweep.text import counted

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
BFLOAT16_CAPABILITY = 8  # compute capability of the first NVIDIA GPUs with fast bfloat16: Ampere


@dataclass(frozen=True)
class Device:
    """The device in use.

    Attributes:
        name: `cpu` or `gpu:N`.
        description: For a user: the device, its threads or model, the Keras backend.
        keras_backend: `tensorflow` or `jax`.
        note: What the user should know, or "".
        onednn: Whether TensorFlow uses oneDNN on the CPU. None on JAX, which has no such choice.
        has_fast_bfloat16: Whether mixed_bfloat16 is faster than float32.
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
    """Raise DeviceError unless the name is auto, cpu or gpu:N."""
    if not re.fullmatch(r"auto|cpu|gpu:\d+", name):
        raise DeviceError(f"--device {name}: use auto, cpu or gpu:N, as in gpu:0")


def gpu_index(name: str, num_gpus: int, backend: str, install: str) -> int | None:
    """Return which of the GPUs that a backend sees a device name stands for; None for the CPU.

    Args:
        name: `auto`, `cpu` or `gpu:N`.
        num_gpus: How many GPUs the backend sees.
        backend: Its name.
        install: The command that installs what the backend needs to use a GPU.

    Raises:
        DeviceError: The backend does not see this GPU.
    """
    if name == "cpu" or (name == "auto" and not num_gpus):
        return None
    index = 0 if name == "auto" else int(name.removeprefix("gpu:"))
    if index >= num_gpus:
        there = ", ".join(["cpu", *(f"gpu:{number}" for number in range(num_gpus))])
        hint = _missing_gpu_note(backend, install)
        raise DeviceError(
            f"--device {name} does not exist; Keras on {backend} sees: {there}{'. ' + hint if hint else ''}"
        )
    return index


def cpu_device(name: str, threads: int, backend: str, install: str, *, has_gpus: bool) -> Device:
    """Describe the CPU, with a note if the user may have expected a GPU. Arguments as for `gpu_index`."""
    note = "" if name == "cpu" or has_gpus else _missing_gpu_note(backend, install)
    return Device("cpu", f"cpu, {counted(threads, 'thread')}, Keras on {backend}", backend, note)


def gpu_device(index: int, model: str, backend: str) -> Device:
    """Describe the GPU of this index; `model` is the name that its driver gives."""
    return Device(f"gpu:{index}", f"gpu:{index} ({model}), Keras on {backend}", backend)


def has_bfloat16_units(capability: Any) -> bool:
    """Return whether a GPU of this compute capability, "9.0" or (9, 0), computes bfloat16 faster than float32."""
    major = re.match(r"\(?(\d+)", str(capability))
    return major is not None and int(major[1]) >= BFLOAT16_CAPABILITY


def _missing_gpu_note(backend: str, install: str) -> str:
    """A driver without CUDA libraries for the backend is the usual reason that a GPU stays unused."""
    if not NVIDIA_DRIVER.exists():
        return ""
    return f"An NVIDIA driver is present, but Keras on {backend} sees no GPU; `{install}` installs what is missing"
