"""Lines for the user, as they come."""

import sys

from sweep.text import one_line


def say(line: str) -> None:
    """On stdout, at once."""
    print(line, flush=True)


def warn(line: str) -> None:
    """On stderr, in one line."""
    print(one_line(line), file=sys.stderr)
