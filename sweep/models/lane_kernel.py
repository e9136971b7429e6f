"""`LaneKernel`: a family's networks as the packed engine computes them, many at a time in one compiled program.

Shape suffixes: B minibatch, H W feature map, C channels, Y classes.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol, Self

from numpy.typing import NDArray

Tensor = Any
Shape = tuple[int, ...]
Widths = tuple[int, ...]  # as `ModelConfig.lane_widths`
Dropout = Callable[[Tensor, int], Tensor]  # what comes from layer 0, 1, ... of the widths


class LaneKernel(Protocol):
    """All of a network that is compiled in; a frozen dataclass, equal where lanes can share a program.

    Widths and dropout rates are no part of it: they are inputs. Where a backend compiles for fixed shapes, a lane's
    weights are padded with zeros to those of larger widths, and what padded units give must reach nothing.
    """

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""

    @property
    def num_classes(self) -> int:
        """Of the output."""

    @property
    def dropouts(self) -> tuple[bool, ...]:
        """Whether one follows, after each of the widths."""

    def fitted(self, batches_lanes: bool, num_images: int) -> Self:
        """Return the kernel in the form that is fastest.

        Args:
            batches_lanes: Whether the Keras backend computes several lanes by batched operations (JAX); otherwise each
                lane is a call of its own (TensorFlow).
            num_images: Training and validation images together.
        """

    @property
    def input_key(self) -> Hashable:
        """Equal where `prepared` images are; None where images are taken as they are."""

    def prepared(self, images: Tensor) -> Tensor:
        """What minibatches are taken from: made once of all the images."""

    def weight_shapes(self, widths: Widths) -> list[Shape]:
        """Shapes of the trainable variables, in the order of the Keras model's."""

    def weight_blocks(self, widths: Widths) -> list[Shape]:
        """The same with axes taken apart, so that a lane's weights are the first entries of each axis of wider ones."""

    def statistics_shapes(self, widths: Widths) -> list[Shape]:
        """Shapes of batch normalization's moving means and variances, in the order of the Keras model's."""

    def initial_weights(self, layers: Sequence[Any], widths: Widths) -> list[NDArray[Any]]:
        """Drawn by the initializers of the family's layers, as Keras would."""

    def forward(
        self,
        weights: Sequence[Tensor],
        statistics: Sequence[Tensor],
        images: Tensor,
        dropout: Dropout | None,
        dtype: str,
    ) -> tuple[Tensor, list[Tensor]]:
        """(probabilities_BY, new statistics). `dropout` acts in training; without it (None) it is a validation.

        Computed in `dtype`, the probabilities in Keras's floatx.
        """

    def penalized(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """The weights that `[regularizer]` penalizes."""
