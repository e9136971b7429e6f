"""What a process that a user's code forks off must not share with the sweep that it comes from.

A fork shares open files: a lock on one, or on a connection's server, would outlive the sweep as long as the child does.
It shares signal handlers too: `multiprocessing.Pool.terminate` sends a SIGTERM that must end the child.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

Owner = TypeVar("Owner")

_release: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def in_children(owner: Owner, release: Callable[[Owner], None]) -> None:
    """Call `release(owner)` in every process that is forked off while the owner lives."""
    _release[owner] = release


def _after_fork() -> None:
    for owner, release in list(_release.items()):
        release(owner)
    _release.clear()


os.register_at_fork(after_in_child=_after_fork)
