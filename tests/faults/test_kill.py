"""A quick slice of `python tests/faults/kill.py`: real kill -9 of a real process, the fake engine for speed."""

import os
import subprocess
import sys
from pathlib import Path


def test_study_killed_at_random_moments_equals_the_unbroken_one():
    command = [sys.executable, str(Path(__file__).with_name("kill.py")), "--kills", "2", "--trials", "20"]
    result = subprocess.run(
        command, env={**os.environ, "SWEEP_FAKE_EPOCH_S": "0.02"}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert '"kills": 2' in result.stdout
