"""Start a worker as a process on this machine, and communicate with it over a pipe."""

import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from sweep.errors import Cause
from sweep.executors.base import MAXRSS_PER_MB
from sweep.executors.handle import PATIENCE_S, SECRETS, WorkerExit, last_lines, reports_out_of_memory
from sweep.executors.messages import decode, encode

LOG_BYTES = 8000
KERNEL_COUNTERS = Path("/proc/vmstat")


class WorkerProcess:
    """A `WorkerHandle` for a process on this machine.

    Args:
        environment: Environment variables for the worker, in addition to those of this process without `SECRETS`.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.host = platform.node()
        self.connection, theirs = Pipe()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        inherited = {name: value for name, value in os.environ.items() if name not in SECRETS}
        self._num_oom_kills = _num_oom_kills()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sweep.executors.worker", str(theirs.fileno())],
            env={**inherited, **environment},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            process_group=0,  # so that Ctrl-C in a terminal reaches only the main process
        )
        theirs.close()
        # a process that user code forked may keep the pipe open, so that only the process's own handle shows its exit
        self._handle = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        return self._process.pid

    @property
    def waitables(self) -> list[Any]:
        """Return objects for `multiprocessing.connection.wait`, ready on an answer or when the process has exited."""
        return [self.connection] if self._handle is None else [self.connection, self._handle]

    def send(self, **message: Any) -> None:
        """Send a message. If the process has exited, nothing is raised; `receive` returns None."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send_bytes(encode(message))

    def receive(self) -> dict[str, Any] | None:
        """Return the next answer; None if the process has exited."""
        try:
            return decode(self.connection.recv_bytes()) if self.connection.poll() else None
        except (EOFError, OSError):
            return None

    def request_exit(self) -> None:
        """Close the pipe, which makes the process exit, without waiting for it."""
        self.connection.close()

    def end(self) -> None:
        """Close the pipe and wait for the process to exit; kill it if it does not."""
        self.connection.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_S)
        self._process.kill()
        self._process.wait()
        self._release()

    def reap(self, *, patience_s: float = PATIENCE_S) -> WorkerExit:
        """Return how the process exited; kill it if it has not after `patience_s` seconds."""
        status, usage = self._wait(patience_s)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        log_tail = self.log_tail()
        self.connection.close()
        self._release()
        cause, error = self._how_it_ended(self._process.returncode, log_tail)
        return WorkerExit(cause, error, round(usage.ru_maxrss / MAXRSS_PER_MB, 1), log_tail)

    def _wait(self, patience_s: float) -> tuple[int, Any]:
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                return status, usage
            time.sleep(0.005)
        os.kill(self.pid, signal.SIGKILL)
        return os.wait4(self.pid, 0)[1:]

    def _how_it_ended(self, code: int, log_tail: str) -> tuple[Cause, str]:
        if code == -signal.SIGKILL and _num_oom_kills() > self._num_oom_kills:
            return Cause.OUT_OF_MEMORY, f"the kernel killed the worker on {self.host} because memory ran out"
        if reports_out_of_memory(log_tail):
            return Cause.OUT_OF_MEMORY, f"the worker on {self.host} ran out of memory"
        if code < 0:
            return Cause.KILLED, f"the worker was killed by {signal.Signals(-code).name}"
        return Cause.KILLED, f"the worker exited with code {code}"

    def log_tail(self) -> str:
        """Return the last lines that the process printed."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - LOG_BYTES))
        return last_lines(self._log.read().decode(errors="replace"))

    def _release(self) -> None:
        self._log.close()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _num_oom_kills() -> int:
    """Return how many processes the kernel has killed since boot because memory ran out; 0 if it is unknown."""
    try:
        words = KERNEL_COUNTERS.read_text().split()
        return int(words[words.index("oom_kill") + 1])
    except (OSError, ValueError):
        return 0
