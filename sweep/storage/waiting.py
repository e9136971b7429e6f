"""Waiting for a database that is locked or away, so that a user sees it and can end it."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

RETRY_S = 0.2

Result = TypeVar("Result")


def say(text: str) -> None:
    """Print the notice of a command without progress."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Wait:
    """How to wait: `notice` takes what the user should know, `check` is called now and then and may raise."""

    check: Callable[[], None] = lambda: None
    notice: Callable[[str], None] = say
    at_most_s: float = math.inf


WAIT = Wait()


def tried_again(
    action: Callable[[], Result], is_passing: Callable[[Exception], bool], wait: Wait, reason: str, end: str
) -> Result:
    """Return the result of `action`, which is retried as long as what it raises `is_passing`.

    Prints once that it waits and for what `reason`, and at the `end` how long it took.
    """
    started, is_said = time.monotonic(), False
    while True:
        try:
            result = action()
            break
        except Exception as error:
            if not is_passing(error) or time.monotonic() - started >= wait.at_most_s:
                raise
        if not is_said:
            wait.notice(f"waiting: {reason}")
            is_said = True
        wait.check()
        time.sleep(RETRY_S)
    if is_said:
        wait.notice(f"{end} after {time.monotonic() - started:.0f} s; continuing")
    return result
