"""Run a `Worker` in a Ray actor; calls carry the messages that a pipe carries locally."""

import os
import platform
import sys
import tempfile
import threading
from collections.abc import Mapping
from importlib.metadata import version

from sweep.data import PoolKey, RawPool, set_pools
from sweep.errors import SweepError
from sweep.executors.handle import SECRETS, last_lines
from sweep.executors.messages import decode, encode

SAME_VERSIONS = ("sweep", "keras", "tensorflow", "numpy", "scikit-learn")  # or a trial is another on another node


class WorkerHost:
    """Its methods are called by `RayWorker`; `live` and `about` run on threads other than the training one."""

    def __init__(
        self, environment: Mapping[str, str], versions: Mapping[str, str], pools: dict[PoolKey, RawPool]
    ) -> None:
        """`environment` adds to the node's own, which may hold what is no worker's to know."""
        for name in SECRETS:
            os.environ.pop(name, None)
        os.environ.update(environment)
        from sweep.executors.worker import Worker

        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        for stream in (sys.stdout, sys.stderr):
            os.dup2(self._log.fileno(), stream.fileno())
        set_pools(pools)
        self._problem, self._worker = _version_problem(versions), Worker()

    def do(self, message: bytes) -> bytes | None:
        """Do what the launcher says; the answer, where there is one. Other errors are the actor's end."""
        try:
            if self._problem is not None:
                raise SweepError(self._problem)
            said = decode(message)
            if "path" in said:
                said["path"] = [*(place for place in said["path"] if place not in sys.path), *sys.path]
            answer = self._worker.do(said)
        except SweepError as error:
            answer = {"failed": str(error)}
        return None if answer is None else encode(answer)

    def live(self) -> None:
        """Block until the actor ends."""
        threading.Event().wait()

    def about(self) -> tuple[str, int, str]:
        """Return host, process, and what it printed last."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._log.seek(0)
        return platform.node(), os.getpid(), last_lines(self._log.read().decode(errors="replace"))


def versions() -> dict[str, str]:
    """Return the versions of the packages that train in this environment."""
    return {"python": ".".join(map(str, sys.version_info[:2])), **{name: version(name) for name in SAME_VERSIONS}}


def _version_problem(wanted: Mapping[str, str]) -> str | None:
    here = versions()
    different = next((name for name in wanted if here[name] != wanted[name]), None)
    if different is None:
        return None
    where, other = f"{platform.node()} has {different} {here[different]}", wanted[different]
    return f"{where}, this machine {other}; install the same on all"
