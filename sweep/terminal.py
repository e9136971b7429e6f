"""The console that commands print tables on, and JSON for programs."""

import json
from typing import Any

from rich.console import Console

PIPED_WIDTH = 400


def make_console() -> Console:
    """As wide as the terminal; wide enough for every column where the output is piped."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPED_WIDTH)


def print_as_json(record: Any) -> None:
    """Strict JSON: a loss that is NaN or infinite becomes null, as few readers take anything else."""
    print(json.dumps(json.loads(json.dumps(record), parse_constant=lambda _: None), indent=2, allow_nan=False))
