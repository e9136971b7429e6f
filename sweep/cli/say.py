"""Print lines for the user."""

import sys

from sweep.text import one_line


def say(line: str) -> None:
    """Print a line to stdout and flush it."""
    print(line, flush=True)


def warn(line: str) -> None:
    """Print a message to stderr in one line, with passwords masked."""
    print(one_line(line), file=sys.stderr)
