"""Numbers of things, as a user reads them."""


def counted(number: float, what: str) -> str:
    """`1 trial`, `5,000 trials`, `0.5 GPUs`."""
    return f"{number:,}".removesuffix(".0") + f" {what}{'' if number == 1 else 's'}"
