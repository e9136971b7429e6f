"""What a CNN is made of."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sweep.config.model import ImageShape, ModelConfig
from sweep.config.section import IntList, Positive, Rate
from sweep.errors import SpaceError
from sweep.models.choices import Activation, Initializer, Output


class CnnConfig(ModelConfig):
    """Convolutions of `filters`, in groups of `convolutions_per_pool`; one dense layer of `dense_units`; the output.

    After each group comes a pool, but not after the last, and a dropout (`convolution_dropout`); after the dense layer
    a `dropout`.
    """

    family: Literal["cnn"] = "cnn"
    """Name of the model family, or `module:attribute` of your own."""
    filters: Annotated[IntList, Field(min_length=1)] = (32, 64)
    """Filters of each convolution."""
    kernel_size: Positive = 3
    """Height and width of every convolution kernel."""
    pool_size: Positive = 2
    """Height and width of every max pooling window."""
    convolutions_per_pool: Positive = 1
    """Convolutions between two pooling layers."""
    padding: Literal["valid", "same"] = "valid"
    """Padding of the convolutions."""
    activation: Activation = "relu"
    """Activation of the hidden layers."""
    dense_units: Positive = 64
    """Units of the dense layer before the output."""
    output_activation: Output = "softmax"
    """Activation of the output layer."""
    kernel_initializer: Initializer = "glorot_uniform"
    """Keras initializer of the kernels."""
    convolution_dropout: Rate = 0.0
    """Dropout rate after each group of convolutions."""
    dropout: Rate = 0.0
    """Dropout rate after the dense layer."""
    batch_normalization: bool = False
    """Whether batch normalization follows each convolution."""

    old_keys: ClassVar[Mapping[str, str]] = {
        "kernel": "kernel_size",
        "pool": "pool_size",
        "initializer": "kernel_initializer",
        "batch_norm": "batch_normalization",
        "output": "output_activation",
    }
    uses_regularizer: ClassVar[bool] = True
    may_give_logits: ClassVar[bool] = False
    shape_keys: ClassVar[tuple[str, ...]] = ("filters", "kernel_size", "pool_size", "convolutions_per_pool", "padding")

    @property
    def lane_widths(self) -> tuple[int, ...]:
        """Filters of each convolution, then units of the dense layer."""
        return (*self.filters, self.dense_units)

    @property
    def pools(self) -> tuple[int, ...]:
        """The size of the pool after each convolution; 1 where there is none.

        >>> CnnConfig(filters=(32, 32, 64, 64, 64), convolutions_per_pool=2).pools
        (1, 2, 1, 2, 1)
        """
        last = len(self.filters) - 1
        return tuple(self.pool_size if index != last and self._ends_group(index) else 1 for index in range(last + 1))

    @property
    def lane_dropouts(self) -> tuple[float, ...]:
        """The rate of the dropout after each of `lane_widths`; 0 where there is none.

        >>> CnnConfig(filters=(32, 32, 64), convolutions_per_pool=2, convolution_dropout=0.3, dropout=0.5).lane_dropouts
        (0.0, 0.3, 0.3, 0.5)
        """
        indices = range(len(self.filters))
        groups = [self.convolution_dropout if self._ends_group(index) else 0.0 for index in indices]
        return (*groups, self.dropout)

    def _ends_group(self, index: int) -> bool:
        number = index + 1
        return number == len(self.filters) or number % self.convolutions_per_pool == 0

    def check_images(self, image_shape: ImageShape) -> None:
        """SpaceError if no feature map is left."""
        self.feature_map_sides(*image_shape[:2])

    def feature_map_sides(self, height: int, width: int) -> list[tuple[int, int]]:
        """(height, width) after each convolution and its pool; SpaceError if nothing is left.

        >>> CnnConfig(filters=(32, 64, 64)).feature_map_sides(28, 28)
        [(13, 13), (5, 5), (3, 3)]
        """
        shrink = 0 if self.padding == "same" else self.kernel_size - 1
        sides = []
        for index, pool in enumerate(self.pools):
            height, width = (height - shrink) // pool, (width - shrink) // pool
            if min(height, width) < 1:
                raise SpaceError(
                    f"model.filters: convolution {index + 1} of {len(self.filters)} (kernel {self.kernel_size}, "
                    f'pool {self.pool_size}, padding "{self.padding}") leaves no feature map; '
                    'use fewer filters, a smaller kernel or padding = "same"'
                )
            sides.append((height, width))
        return sides
