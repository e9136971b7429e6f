"""One launcher for each study, also after a launcher was killed."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from sweep.errors import StudyError
from sweep.storage import database_url, study_lock

HOLD_LATE = """
import fcntl, sys, time
with open(sys.argv[1], "r+") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(0.2)
    file.write("%d" % __import__("os").getpid())
    file.flush()
    time.sleep(60)
"""
HOLD = """
import sys, time
from sweep.storage import study_lock
with study_lock(*sys.argv[1:]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_launcher_is_refused_with_the_pid_until_the_first_dies(tmp_path):
    url = database_url(tmp_path)
    owner = subprocess.Popen([sys.executable, "-c", HOLD, url, "study"], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner:
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(StudyError, match=f"process {owner.pid}"), study_lock(url, "study"):
            pass
        with study_lock(url, "other"):
            pass
        owner.send_signal(signal.SIGKILL)
    with study_lock(url, "study") as lock:
        assert (tmp_path / ".sweep.db.study.lock").read_text() == f"{os.getpid()}\n"
    assert not lock.ended_in_order
    with study_lock(url, "study") as lock:
        assert lock.ended_in_order


def test_owner_that_has_not_written_its_pid_yet_is_named_all_the_same(tmp_path):
    """The file still holds the PID of a launcher that was killed."""
    path = tmp_path / ".sweep.db.study.lock"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path.write_text(f"{dead.pid}")
    owner = subprocess.Popen([sys.executable, "-c", HOLD_LATE, path], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner:
        assert owner.stdout.readline() == "held\n"
        with (
            pytest.raises(StudyError, match=f"process {owner.pid};"),
            study_lock(database_url(tmp_path), "study"),
        ):
            pass
        owner.kill()


FORK = """
import os, sys, time
from sweep.system.interruption import Interruption
from sweep.storage import study_lock
with Interruption(), study_lock(*sys.argv[1:]):
    child = os.fork()
    if child == 0:
        print(os.getpid(), flush=True)  # what the fork must not share is released by now
        time.sleep(60)
        os._exit(0)
    time.sleep(60)
"""


def test_lock_and_signal_handlers_are_not_those_of_a_process_that_a_users_code_forked(tmp_path):
    url = database_url(tmp_path)
    owner = subprocess.Popen([sys.executable, "-c", FORK, url, "study"], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    try:
        with pytest.raises(StudyError, match=f"process {owner.pid}"), study_lock(url, "study"):
            pass
        owner.kill()
        owner.wait()
        with study_lock(url, "study"):
            os.kill(child, 0)  # it lives
        os.kill(child, signal.SIGTERM)  # as multiprocessing ends its workers
        assert owner.stdout.read() == ""  # to its end: the child has closed it too
    finally:
        owner.stdout.close()
        owner.kill()
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
