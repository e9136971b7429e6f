"""Names of Keras's that configs of several families take."""

from typing import Literal

Activation = Literal["relu", "sigmoid", "elu", "tanh"]
Output = Literal["softmax", "sigmoid"]
Initializer = Literal[
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
    "lecun_uniform", "lecun_normal", "uniform", "normal", "zeros",
]  # fmt: skip
