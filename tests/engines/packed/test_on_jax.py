"""Tests of what lanes compute, once more with Keras on JAX: it has one backend in a process.

The other tests of the packed engine that hold on JAX are in the session `nox -s tests_jax`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.packed.packing import ON_TENSORFLOW

HERE = Path(__file__).parent
QUICK_TO_COMPILE = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
COMPILED_ONCE = {  # engines of many tests have the same programs
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


@pytest.mark.jax
@pytest.mark.timeout(900)
@pytest.mark.skipif(not ON_TENSORFLOW, reason="this is the run on JAX")
@pytest.mark.parametrize(
    ("file", "chosen", "environment"),
    [
        pytest.param("steps", "", QUICK_TO_COMPILE, marks=pytest.mark.exhaustive),
        ("lanes", "", {}),  # what users run: equal to the bit however XLA rewrites it
    ],
    ids=["formulas", "lanes"],
)
def test_the_same_holds_on_jax(file: str, chosen: str, environment: dict[str, str], tmp_path: Path) -> None:
    cache = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled")}
    options = [
        "-q",
        "-k",
        chosen,
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "--show-capture=no",
        "--basetemp",
        str(tmp_path / "jax"),
    ]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(HERE / f"test_{file}.py")],
        env={**os.environ, "KERAS_BACKEND": "jax", **environment, **COMPILED_ONCE, **cache},
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
