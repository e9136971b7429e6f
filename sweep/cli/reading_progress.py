"""Show a progress bar while image files are read and decoded."""

import sys
from collections.abc import Iterable
from typing import Any

FEW = 200  # number of items below which no bar is shown


def reading_progress(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    """Return the items, with a bar on a terminal that disappears at the end."""
    if total < FEW or not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, what, total, console=Console(stderr=True), transient=True)
