"""The console that commands print tables on."""

from rich.console import Console

PIPED_WIDTH = 400


def make_console() -> Console:
    """As wide as the terminal; wide enough for every column where the output is piped."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPED_WIDTH)
