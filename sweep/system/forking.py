"""What a process that a user's code forks off must not share with the sweep that it comes from.

A fork shares open files: a lock on one, or on a connection's server, would outlive the sweep as long as the child does.
It shares signal handlers too: `multiprocessing.Pool.terminate` sends a SIGTERM that must end the child.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

Owner = TypeVar("Owner")

_let_go: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def in_children(owner: Owner, let_go: Callable[[Owner], None]) -> None:
    """Call `let_go(owner)` in every process that is forked off while the owner lives."""
    _let_go[owner] = let_go


def _after_fork() -> None:
    for owner, let_go in list(_let_go.items()):
        let_go(owner)
    _let_go.clear()


os.register_at_fork(after_in_child=_after_fork)
