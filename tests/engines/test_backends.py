"""Each Keras backend fulfills the contract, and the engines use nothing beyond it, so that another one is one file."""

import os
import subprocess
import sys

import pytest

from sweep.engines.backends import BACKENDS, BackendSpec, current_backend
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.sequential import SequentialEngine
from sweep.errors import DeviceError
from sweep.testing.engine import train_to_the_end, without_seconds
from sweep.testing.keras_backend import KerasBackendContract
from tests.engines.training import config_of

CONFIG = config_of({"model": {"filters": [4]}, "training": {"epochs": 2}})


class TestThisBackend(KerasBackendContract):
    pass


@pytest.mark.jax
@pytest.mark.skipif(os.environ.get("KERAS_BACKEND") == "jax", reason="this is the run on JAX")
def test_jax_fulfills_the_contract() -> None:
    options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-k", "TestThisBackend"]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    command = [sys.executable, "-m", "pytest", *options, __file__]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("make_engine", [SequentialEngine, PackedEngine])
def test_another_backend_is_one_file_and_one_line(make_engine, monkeypatch) -> None:
    import another_keras_backend

    expected = train(make_engine())
    monkeypatch.setitem(BACKENDS, current_backend().NAME, BackendSpec("another_keras_backend", 1, True))
    assert train(make_engine()) == expected
    assert another_keras_backend.num_calls > 0


def train(engine):
    engine.admit(0, CONFIG)
    return without_seconds(train_to_the_end(engine))


def test_a_backend_without_a_package_is_refused_with_those_that_have_one(monkeypatch) -> None:
    monkeypatch.setattr("keras.backend.backend", lambda: "torch")
    with pytest.raises(DeviceError, match=r"KERAS_BACKEND=torch .* tensorflow or jax"):
        current_backend()
