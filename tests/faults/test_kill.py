"""A quick slice of `python tests/faults/kill.py`: real kill -9 of a real process."""

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


def test_study_on_packed_lanes_killed_while_it_trains_equals_the_unbroken_one():
    """One kill: two might fall within one compilation, which is held against the trials of the round."""
    here = Path(__file__).parent
    command = [sys.executable, str(here / "kill.py"), "--engine", "packed", "--space", str(here / "packed.toml")]
    result = subprocess.run([*command, "--kills", "1", "--trials", "24"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert '"kills": 1' in result.stdout
