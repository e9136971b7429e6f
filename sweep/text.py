"""Texts as a user reads them: values, counts, one-line messages without passwords, JSON and the console of tables."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sweep.errors import message_of

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 400
IN_URL = re.compile(r"(:/{1,2}[^\s:@/]*:).*@", re.DOTALL)  # any character may be of a password: up to the last @
IN_QUERY = re.compile(r"(?i)([?&]\w*(?:password|passwd|pwd|secret|token)=)[^\s&'\"]+")
MOST_CHARACTERS = 2000


def shown_params(params: Mapping[str, Any]) -> str:
    """Format parameters in one line, numbers with four significant digits.

    >>> shown_params({"l2": 1.2345678e-05, "optimizer": "adam", "filters": 32})
    'l2=1.235e-05, optimizer=adam, filters=32'
    """
    return ", ".join(f"{name}={_shown(value)}" for name, value in params.items()) or "no parameters"


def error_line(error: BaseException) -> str:
    """Return `ValueError: message` in one line."""
    return " ".join(f"{type(error).__name__}: {message_of(error)}".split())


def first_line(error: BaseException) -> str:
    """Return the first line of the message, else the name of the error's class."""
    lines = message_of(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def counted(number: float, what: str) -> str:
    """Format a count: `1 trial`, `5,000 trials`, `0.5 GPUs`."""
    return f"{number:,}".removesuffix(".0") + f" {what}{'' if number == 1 else 's'}"


def make_console() -> "Console":
    """Return a console as wide as the terminal, or wide enough for every column if the output is piped."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=PIPED_WIDTH)


def print_as_json(record: Any) -> None:
    """Print strict JSON: a loss that is NaN or infinite becomes null, as few readers accept anything else."""
    print(json.dumps(json.loads(json.dumps(record), parse_constant=lambda _: None), indent=2, allow_nan=False))


def mask_passwords(text: str) -> str:
    """Return the text with *** for each password of a URL, as in `postgresql://user:***@host/db`."""
    return IN_QUERY.sub(r"\1***", IN_URL.sub(r"\1***@", text))


def one_line(text: str) -> str:
    """Return a message of one line for a terminal: passwords masked, control characters escaped, shortened if long."""
    masked = mask_passwords(text)
    plain = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in masked)
    return plain if len(plain) <= MOST_CHARACTERS else f"{plain[:MOST_CHARACTERS]}..."
