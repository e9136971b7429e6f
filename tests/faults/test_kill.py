"""A quick slice of `python tests/faults/kill.py`: real kill -9 of a real process."""

import subprocess
import sys
from pathlib import Path

import pytest


def test_study_on_packed_lanes_killed_while_it_trains_equals_the_unbroken_one():
    """One kill: two might fall within one compilation, which is held against the trials of the round."""
    check_kills("packed", "packed.toml", 1, 24)


@pytest.mark.exhaustive
def test_study_of_a_users_own_keras_loop_killed_while_it_trains_equals_the_unbroken_one():
    check_kills("function", "killed_loop.toml", 1, 4)


def check_kills(engine: str, space: str, num_kills: int, num_trials: int) -> None:
    """The studies are equal, trial by trial, and the process was killed so many times."""
    here = Path(__file__).parent
    command = [sys.executable, str(here / "kill.py"), "--engine", engine, "--space", str(here / space)]
    command += ["--kills", str(num_kills), "--trials", str(num_trials)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f'"kills": {num_kills}' in result.stdout
