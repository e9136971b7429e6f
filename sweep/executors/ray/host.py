"""Run a `Worker` in a Ray actor, which gets its messages as method calls."""

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

SAME_VERSIONS = ("sweep", "keras", "tensorflow", "numpy", "scikit-learn")  # results would depend on the node otherwise


class WorkerHost:
    """A Ray actor that hosts a `Worker`. `live` and `about` run on other threads than the training.

    Args:
        environment: Environment variables to set, in addition to those of the node without `SECRETS`.
        versions: Versions of packages in the main process, which must be the same here.
        pools: Raw images of the data sources.
    """

    def __init__(
        self, environment: Mapping[str, str], versions: Mapping[str, str], pools: dict[PoolKey, RawPool]
    ) -> None:
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
        """Execute a message, and return the answer, None if there is none. An unexpected error ends the actor."""
        try:
            if self._problem is not None:
                raise SweepError(self._problem)
            request = decode(message)
            if "path" in request:
                request["path"] = [*(folder for folder in request["path"] if folder not in sys.path), *sys.path]
            answer = self._worker.do(request)
        except SweepError as error:
            answer = {"failed": str(error)}
        return None if answer is None else encode(answer)

    def live(self) -> None:
        """Block until the actor ends, so that the caller notices its end."""
        threading.Event().wait()

    def about(self) -> tuple[str, int, str]:
        """Return the host, the process id, and the last lines that the actor printed."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._log.seek(0)
        return platform.node(), os.getpid(), last_lines(self._log.read().decode(errors="replace"))


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages in `SAME_VERSIONS` that are installed here."""
    return {"python": ".".join(map(str, sys.version_info[:2])), **{name: version(name) for name in SAME_VERSIONS}}


def _version_problem(wanted: Mapping[str, str]) -> str | None:
    here = versions()
    different = next((name for name in wanted if here[name] != wanted[name]), None)
    if different is None:
        return None
    where, other = f"{platform.node()} has {different} {here[different]}", wanted[different]
    return f"{where}, this machine {other}; install the same on all"
