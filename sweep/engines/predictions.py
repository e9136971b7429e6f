"""What a trained model predicts for its validation images, with their labels: enough to compute a metric later."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

MAX_VALUES = 2**24  # probabilities of a run that are kept: 64 MiB


@dataclass(frozen=True, eq=False)
class Predictions:
    """Of one run.

    Attributes:
        labels: int32 (V,) of the V validation images.
        probabilities: float32 (V, num_classes), rows that add to one.
    """

    labels: NDArray[Any]
    probabilities: NDArray[Any]

    @property
    def may_be_kept(self) -> bool:
        """Whether there are any, and not too many."""
        return 0 < self.probabilities.size <= MAX_VALUES

    def encode(self) -> str:
        """Return them as text, so that they can go from a worker to the launcher; no pickle."""
        return base64.b64encode(packed([self])).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Return what `encode` was called on."""
        with np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False) as arrays:
            return cls(arrays["labels_1"], arrays["probabilities_1"])


def packed(runs: Sequence[Predictions], **also: NDArray[Any]) -> bytes:
    """Return a compressed `.npz` file: `labels_1`, `probabilities_1` of the first run, then the others'."""
    arrays = dict(also)
    for number, run in enumerate(runs, start=1):
        arrays |= {f"labels_{number}": run.labels, f"probabilities_{number}": run.probabilities}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()
