"""The losses that a config can name."""

from typing import Literal, get_args

LossName = Literal[
    "categorical_crossentropy", "binary_crossentropy", "categorical_focal_crossentropy", "mean_squared_error"
]
LOSS_NAMES: tuple[str, ...] = get_args(LossName)
DEFAULT_LOSS: LossName = "categorical_crossentropy"
OF_DISTANCE = "mean_squared_error"  # takes neither logits nor smoothed labels
