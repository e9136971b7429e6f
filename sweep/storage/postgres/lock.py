"""Lock a study for one process on any host, by an advisory lock that the server releases with its connection."""

import hashlib
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import psycopg

from sweep.errors import StudyError
from sweep.system.forking import in_children

MOST_BYTES = 63  # of an application name, by PostgreSQL's default
_HOLDER = """
SELECT activity.application_name FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)
WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND pg_locks.database = activity.datid
  AND activity.datname = current_database()
  AND classid = ((%(key)s::bigint >> 32) & 4294967295)::bigint AND objid = (%(key)s::bigint & 4294967295)::bigint
"""


class ServerLock:
    """Lock a study from the start to the end of a process, by a separate connection.

    The connection that writes holds a second lock (`take` with the role `writer`), as another process may have started
    while the server was unreachable. `ended_in_order` is always False: the server does not store how the previous
    owner exited.
    """

    def __init__(self, connect: "Callable[[str], psycopg.Connection[Any]]", study_name: str) -> None:
        self._connect, self._study_name = connect, study_name
        self._connection: psycopg.Connection[Any] | None = None
        self.ended_in_order = False

    def __enter__(self) -> Self:
        try:
            self._connection = self._connect(session_name())
        except psycopg.Error:
            return self  # the first query of the command reports the error
        try:
            take(self._connection, self._study_name, "launcher")
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()


def session_name() -> str:
    """Return `sweep on HOST, process 123`, which a second process and the server's administrator see."""
    return f"sweep on {platform.node()[:30]}, process {os.getpid()}"[:MOST_BYTES]


def take(connection: Any, study_name: str, role: str) -> None:
    """Take a lock of a study.

    Args:
        connection: The psycopg connection that holds the lock until it is closed.
        study_name: Name of the study.
        role: Name of the lock: `launcher` for a process, `writer` for the connection that writes.

    Raises:
        StudyError: Another connection holds the lock; the message names its process.
    """
    in_children(connection, _release)
    key = _key(study_name, role)
    (is_taken,) = connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
    holder = None if is_taken else connection.execute(_HOLDER, {"key": key}).fetchone()
    connection.commit()
    if not is_taken:
        name = holder[0] if holder else "another program"
        raise StudyError(f"study {study_name} is being swept: {name}; wait for it, stop it, or use another --study")


def _release(connection: Any) -> None:
    """Close a forked process's copy of the socket without a Terminate message, which would end the parent's session."""
    with suppress(psycopg.Error, OSError), open(os.devnull, "r+b") as nothing:
        os.dup2(nothing.fileno(), connection.fileno())


def _key(study_name: str, role: str) -> int:
    digest = hashlib.sha256(f"sweep {role} {study_name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
