"""What an MLP is made of."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sweep.config.model import ModelConfig
from sweep.config.section import IntList, Rate
from sweep.models.choices import Activation, Initializer, Output


class MlpConfig(ModelConfig):
    """Dense layers of `hidden_units`, a dropout after each; the output."""

    family: Literal["mlp"] = "mlp"
    """Name of the model family, or `module:attribute` of your own."""
    activation: Activation = "relu"
    """Activation of the hidden layers."""
    hidden_units: Annotated[IntList, Field(min_length=1)] = (64, 64)
    """Units of each hidden layer."""
    output_activation: Output = "softmax"
    """Activation of the output layer."""
    kernel_initializer: Initializer = "glorot_uniform"
    """Keras initializer of the kernels."""
    dropout: Rate = 0.0
    """Dropout rate after each hidden layer."""

    old_keys: ClassVar[Mapping[str, str]] = {"initializer": "kernel_initializer", "output": "output_activation"}
    uses_regularizer: ClassVar[bool] = True
    may_give_logits: ClassVar[bool] = False

    @property
    def lane_widths(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return self.hidden_units

    @property
    def lane_dropouts(self) -> tuple[float, ...]:
        """The rate of the dropout after each hidden layer."""
        return (self.dropout,) * len(self.hidden_units)
