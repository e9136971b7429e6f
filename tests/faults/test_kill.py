"""A quick slice of `python tests/faults/kill.py`: real kill -9 of a real process."""

import subprocess
import sys
from pathlib import Path


def test_study_on_packed_lanes_killed_while_it_trains_equals_the_unbroken_one():
    """One kill: two might fall within one compilation, which is held against the trials of the round."""
    here = Path(__file__).parent
    command = [sys.executable, str(here / "kill.py"), "--engine", "packed", "--space", str(here / "packed.toml")]
    result = subprocess.run([*command, "--kills", "1", "--trials", "24"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert '"kills": 1' in result.stdout
