"""Devices: a name that is none, a GPU that is not there, and a driver without its libraries are said with the fix."""

import subprocess
import sys
from pathlib import Path

import pytest

from sweep.engines import device
from sweep.engines.device import check_device_name, cpu_device, gpu_index
from sweep.errors import DeviceError

INSTALL = "pip install a-backend[cuda]"


@pytest.mark.parametrize("name", ["auto", "cpu", "gpu:0", "gpu:12"])
def test_device_names(name: str) -> None:
    check_device_name(name)


@pytest.mark.parametrize("name", ["gpu", "gpu:", "gpu:-1", "gpu:x", "cuda:0", "CPU", ""])
def test_other_names_are_refused_with_an_example(name: str) -> None:
    with pytest.raises(DeviceError, match=f"--device {name}: use auto, cpu or gpu:N, as in gpu:0"):
        check_device_name(name)


@pytest.mark.parametrize(
    ("name", "num_gpus", "expected"),
    [("auto", 0, None), ("auto", 2, 0), ("cpu", 2, None), ("gpu:0", 1, 0), ("gpu:1", 2, 1)],
)
def test_auto_takes_the_first_gpu_and_cpu_none(name: str, num_gpus: int, expected: int | None) -> None:
    assert gpu_index(name, num_gpus, "tensorflow", INSTALL) == expected


@pytest.mark.parametrize(("num_gpus", "there"), [(0, "cpu"), (2, "cpu, gpu:0, gpu:1")])
def test_an_absent_gpu_is_an_error_that_lists_the_devices(
    num_gpus: int, there: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(device, "NVIDIA_DRIVER", tmp_path / "absent")
    with pytest.raises(DeviceError, match=f"--device gpu:2 does not exist; Keras on jax sees: {there}$"):
        gpu_index("gpu:2", num_gpus, "jax", INSTALL)


def test_a_driver_without_a_gpu_in_keras_is_said_with_the_install_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "version").touch()
    monkeypatch.setattr(device, "NVIDIA_DRIVER", tmp_path / "version")
    assert INSTALL in cpu_device("auto", 2, "jax", INSTALL, has_gpus=False).note
    assert cpu_device("cpu", 2, "jax", INSTALL, has_gpus=False).note == ""
    with pytest.raises(DeviceError, match="An NVIDIA driver is present"):
        gpu_index("gpu:0", 0, "jax", INSTALL)


@pytest.mark.slow
@pytest.mark.parametrize(("operation_threads", "expected"), [(1, "1 3"), (None, "3 3")])
def test_an_operation_of_tensorflow_has_as_many_threads_as_asked(operation_threads: int | None, expected: str) -> None:
    code = f"""
from sweep.engines.devices import set_up_device
set_up_device("cpu", 3, operation_threads={operation_threads})
import tensorflow as tf
tf.ones(3) + 1  # the settings hold from the first operation on
threading = tf.config.threading
print(threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads())
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == expected, result.stderr
