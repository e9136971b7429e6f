"""A worker in a process of this machine, as the launcher sees it: a `WorkerHandle` over a pipe."""

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
from sweep.executors.handle import PATIENCE_S, SECRETS, WorkerExit, is_of_no_memory, last_lines
from sweep.executors.messages import decode, encode

LOG_BYTES = 8000
KERNEL_COUNTERS = Path("/proc/vmstat")


class WorkerProcess:
    """A process with a pipe to it. It never sees the database: not its URL, nor what opens it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` adds to this process's own, without what opens databases."""
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
            process_group=0,  # a terminal's Ctrl-C reaches the launcher alone
        )
        theirs.close()
        # a process that was forked off by a user's code may hold the pipe open; the handle of the process says its end
        self._handle = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        return self._process.pid

    @property
    def waitables(self) -> list[Any]:
        """Return what `multiprocessing.connection.wait` takes; ready on an answer or when the process has exited."""
        return [self.connection] if self._handle is None else [self.connection, self._handle]

    def send(self, **message: Any) -> None:
        """Send a message. That the process has exited is noticed when the answer is awaited."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send_bytes(encode(message))

    def receive(self) -> dict[str, Any] | None:
        """Return the answer that is ready; None if the process has exited."""
        try:
            return decode(self.connection.recv_bytes()) if self.connection.poll() else None
        except (EOFError, OSError):
            return None

    def hang_up(self) -> None:
        """Tell it to end, and do not wait for that."""
        self.connection.close()

    def end(self) -> None:
        """Let it end; kill it if it does not."""
        self.connection.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_S)
        self._process.kill()
        self._process.wait()
        self._release()

    def reap(self, *, patience_s: float = PATIENCE_S) -> WorkerExit:
        """Return how the process ended; one that closed its pipe but has not ended after `patience_s` is killed."""
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
        if is_of_no_memory(log_tail):
            return Cause.OUT_OF_MEMORY, f"the worker on {self.host} ran out of memory"
        if code < 0:
            return Cause.KILLED, f"the worker was killed by {signal.Signals(-code).name}"
        return Cause.KILLED, f"the worker exited with code {code}"

    def log_tail(self) -> str:
        """Return what the process printed last."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - LOG_BYTES))
        return last_lines(self._log.read().decode(errors="replace"))

    def _release(self) -> None:
        self._log.close()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _num_oom_kills() -> int:
    """How many processes the kernel has killed for lack of memory since it started; 0 where it does not say."""
    try:
        words = KERNEL_COUNTERS.read_text().split()
        return int(words[words.index("oom_kill") + 1])
    except (OSError, ValueError):
        return 0
