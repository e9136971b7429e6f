"""The device that JAX uses, and its threads."""

import os
from dataclasses import replace
from typing import Any

import jax

from sweep.engines.device import Device, cpu_device, gpu_device, gpu_index, has_bfloat16_units
from sweep.errors import DeviceError

NAME = "jax"
INSTALL = "pip install 'jax[cuda12]'"


def set_up_device(name: str, threads: int, gpu_memory_gb: float | None, _: int) -> Device:
    """Set JAX's default device. See `base.Backend`.

    JAX's CPU threads follow the cores that the process may use, whatever the operation, so these are limited.
    """
    if gpu_memory_gb is not None:
        raise DeviceError("--gpu-memory-gb: JAX takes a fraction; set XLA_PYTHON_CLIENT_MEM_FRACTION instead")
    if hasattr(os, "sched_setaffinity") and threads < len(os.sched_getaffinity(0)):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    if name == "cpu":
        jax.config.update("jax_platforms", "cpu")
    gpus: list[Any] = [device for device in jax.devices() if device.platform != "cpu"]
    index = gpu_index(name, len(gpus), NAME, INSTALL)
    if index is None:
        return _described(cpu_device(name, threads, NAME, INSTALL, has_gpus=bool(gpus)))
    jax.config.update("jax_default_device", gpus[index])
    return _described(gpu_device(index, gpus[index].device_kind, NAME))


def device_in_use(threads: int) -> Device:
    """Return JAX's default device. See `base.Backend`."""
    device = _default_device()
    if device.platform == "cpu":
        return _described(cpu_device("cpu", threads, NAME, INSTALL, has_gpus=False))
    return _described(gpu_device(device.id, device.device_kind, NAME))


def _described(device: Device) -> Device:
    used = _default_device()
    is_fast = used.platform != "cpu" and has_bfloat16_units(getattr(used, "compute_capability", ""))
    return replace(device, has_fast_bfloat16=is_fast)


def _default_device() -> Any:
    return jax.config.jax_default_device or jax.devices()[0]
