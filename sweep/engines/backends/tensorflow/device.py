"""The device that TensorFlow uses, and its threads."""

from dataclasses import replace

import tensorflow as tf

from sweep.engines.cpu import BFLOAT16_FLAGS, cpu_flags, is_onednn_on
from sweep.engines.device import Device, cpu_device, gpu_device, gpu_index, has_bfloat16_units
from sweep.errors import DeviceError

NAME = "tensorflow"
INSTALL = "pip install 'tensorflow[and-cuda]'"


def set_up_device(name: str, threads: int, gpu_memory_gb: float | None, operation_threads: int) -> Device:
    """Make one GPU or none visible, and set the threads. See `base.Backend`."""
    gpus = tf.config.list_physical_devices("GPU")
    index = gpu_index(name, len(gpus), NAME, INSTALL)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(operation_threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        tf.config.set_visible_devices([] if index is None else gpus[index], "GPU")
    except RuntimeError:  # it was used before, for example in a notebook, and accepts no settings any more
        return _already_set_up(name, threads, operation_threads, index)
    if index is None:
        return _described(cpu_device(name, threads, NAME, INSTALL, has_gpus=bool(gpus)))
    if gpu_memory_gb is None:
        tf.config.experimental.set_memory_growth(gpus[index], True)
    else:
        limit = tf.config.LogicalDeviceConfiguration(memory_limit=round(gpu_memory_gb * 1024))
        tf.config.set_logical_device_configuration(gpus[index], [limit])
    return _described(gpu_device(index, _model_of(gpus[index]), NAME))


def device_in_use(threads: int) -> Device:
    """Return the device as TensorFlow has it in this process. See `base.Backend`."""
    visible, every = tf.config.get_visible_devices("GPU"), tf.config.list_physical_devices("GPU")
    if not visible:
        return _described(cpu_device("auto", threads, NAME, INSTALL, has_gpus=bool(every)))
    return _described(gpu_device(every.index(visible[0]), _model_of(visible[0]), NAME))


def _already_set_up(name: str, threads: int, operation_threads: int, index: int | None) -> Device:
    """Return the device in use with a note on its threads; DeviceError if another device was requested."""
    visible, every = tf.config.get_visible_devices("GPU"), tf.config.list_physical_devices("GPU")
    wanted = [] if index is None else [every[index]]
    if name != "auto" and visible != wanted:
        shown = ", ".join(f"gpu:{every.index(one)}" for one in visible) or "cpu"
        raise DeviceError(f"--device {name}: TensorFlow already uses {shown} in this process; restart it")
    device, in_force = device_in_use(threads), tf.config.threading.get_intra_op_parallelism_threads()
    if in_force == operation_threads:
        return replace(device, note="")
    note = (
        f"TensorFlow was used before in this process and keeps {in_force or 'all'} threads per operation instead of "
        f"{operation_threads}: speed and the last bits of scores may differ; restart the process to change that"
    )
    return replace(device, note=note)


def _described(device: Device) -> Device:
    """Add what TensorFlow's kernels can do on the device."""
    is_on, gpus = is_onednn_on(), tf.config.get_visible_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        is_fast = has_bfloat16_units(details.get("compute_capability", ""))
    else:
        is_fast = is_on and bool(cpu_flags() & BFLOAT16_FLAGS)
    return replace(device, onednn=is_on, has_fast_bfloat16=is_fast)


def _model_of(gpu: tf.config.PhysicalDevice) -> str:
    return str(tf.config.experimental.get_device_details(gpu).get("device_name", "GPU"))
