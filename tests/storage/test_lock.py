"""One launcher for each study, also after a launcher was killed."""

import os
import signal
import subprocess
import sys

import pytest

from sweep.errors import StudyError
from sweep.storage import StudyLock, database_url

HOLD = """
import sys, time
from sweep.storage import StudyLock
with StudyLock(*sys.argv[1:]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_launcher_is_refused_with_the_pid_until_the_first_dies(tmp_path):
    url = database_url(tmp_path)
    owner = subprocess.Popen([sys.executable, "-c", HOLD, url, "study"], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner:
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(StudyError, match=f"process {owner.pid}"), StudyLock(url, "study"):
            pass
        with StudyLock(url, "other"):
            pass
        owner.send_signal(signal.SIGKILL)
    with StudyLock(url, "study"):
        assert (tmp_path / ".sweep.db.study.lock").read_text() == f"{os.getpid()}\n"
