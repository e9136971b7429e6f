"""What an MLP is made of."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sweep.config.model import ModelConfig
from sweep.config.section import IntList, Rate
from sweep.models.choices import Activation, Initializer, Output


class MlpConfig(ModelConfig):
    """Dense layers of `hidden_units`, a dropout after each; the output."""

    family: Literal["mlp"] = "mlp"
    activation: Activation = "relu"
    hidden_units: Annotated[IntList, Field(min_length=1)] = (64, 64)
    output: Output = "softmax"
    initializer: Initializer = "glorot_uniform"
    dropout: Rate = 0.0

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
