"""What every test file may use; nothing here knows the code under test."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder SWEEP_DATA, which holds mnist/; without it a test of the real MNIST cannot run."""
    folder = os.environ.get("SWEEP_DATA")
    if not folder:
        pytest.skip("needs the real MNIST: set SWEEP_DATA to a folder that holds mnist/")
    return Path(folder)
