"""What metrics make of a model's outputs."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.metrics import METRICS


def scores(names: Sequence[str], labels: NDArray[Any], outputs: NDArray[Any], *, from_logits: bool) -> dict[str, float]:
    """Each metric's value.

    Args:
        names: Of functions, see `computed`.
        labels: int (N,).
        outputs: The model's, (N, num_classes).
        from_logits: Whether these are logits.

    Raises:
        SpaceError: A metric cannot be imported.
        TypeError: A metric gives something else than a number.
        Exception: Whatever a metric raises.
    """
    probabilities = probabilities_of(outputs, from_logits=from_logits)
    return {name: number_of(name, find_metric(name)(labels, probabilities)) for name in names}


def find_metric(name: str) -> Callable[[NDArray[Any], NDArray[Any]], Any]:
    """The function. SpaceError if it cannot be imported."""
    return METRICS.get(name)  # type: ignore[return-value]


def probabilities_of(outputs: NDArray[Any], *, from_logits: bool) -> NDArray[np.float32]:
    """(N, num_classes), rows that add to one: softmax of logits; what sigmoids give by its sum, as in the loss."""
    values = outputs.astype(np.float64)
    if from_logits:
        values = np.exp(values - values.max(axis=1, keepdims=True))
    sums = values.sum(axis=1, keepdims=True)
    return (values / np.where(sums > 0, sums, 1)).astype(np.float32)


def number_of(name: str, value: Any) -> float:
    """Return what a metric gave as a float. TypeError if it is not a number."""
    try:
        if np.ndim(value) or isinstance(value, str | bytes):
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} gave {value!r:.200}; a number is wanted") from None
