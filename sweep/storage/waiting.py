"""Wait for a database that is locked or unreachable, with a notice to the user, who can interrupt the wait."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

RETRY_S = 0.2

Result = TypeVar("Result")


def say(text: str) -> None:
    """Print a notice on stderr, for commands without progress."""
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Wait:
    """How to wait for a database.

    Attributes:
        check: Called before each retry; may raise to interrupt the wait.
        notice: Called with a line for the user.
        at_most_s: Time in seconds after which the error is raised.
    """

    check: Callable[[], None] = lambda: None
    notice: Callable[[str], None] = say
    at_most_s: float = math.inf


WAIT = Wait()


def retry(
    action: Callable[[], Result], is_passing: Callable[[Exception], bool], wait: Wait, reason: str, end: str
) -> Result:
    """Call a function, and retry it while its errors are temporary.

    Args:
        action: The function.
        is_passing: Returns whether an error is temporary; others are raised.
        wait: How to wait between retries.
        reason: Notice at the first retry.
        end: Notice when the wait is over; the time that it took is added.

    Returns:
        The result of `action`.
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
