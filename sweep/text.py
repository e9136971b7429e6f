"""Values as a user reads them."""

from collections.abc import Mapping
from typing import Any


def shown_params(params: Mapping[str, Any]) -> str:
    """Parameters in one line, numbers with four significant digits.

    >>> shown_params({"l2": 1.2345678e-05, "optimizer": "adam", "filters": 32})
    'l2=1.235e-05, optimizer=adam, filters=32'
    """
    return ", ".join(f"{name}={_shown(value)}" for name, value in params.items()) or "no parameters"


def error_line(error: BaseException) -> str:
    """`ValueError: what it says`, whatever lines it has."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
