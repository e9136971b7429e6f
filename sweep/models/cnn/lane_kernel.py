"""CNNs on lanes, and MLPs, which are CNNs without convolutions: what their Keras layers compute, on `keras.ops`.

Nothing here knows of other lanes, nor of padding: padded weights are zeros, so what padded units give reaches nothing.
Shape suffixes: B minibatch, H W feature map, C channels, Y classes.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from sweep.models.lane_kernel import Dropout, Shape, Tensor, Widths

BATCH_NORM_MOMENTUM, BATCH_NORM_EPSILON = 0.99, 1e-3  # Keras's defaults
MAX_PATCH_BYTES = 2**26


@dataclass(frozen=True)
class StackedKernel:
    """Follows the `LaneKernel` protocol."""

    image_shape: tuple[int, int, int]
    num_classes: int
    num_hidden: int  # dense layers but the output
    activation: str
    output: str
    dropouts: tuple[bool, ...]
    penalizes_convolutions: bool
    penalizes_output: bool
    kernel: int = 1
    pools: tuple[int, ...] = ()  # after each convolution; 1 where there is none
    padding: str = "valid"
    batch_norm: bool = False
    sides: tuple[tuple[int, int], ...] = ()  # (height, width) after each convolution and its pool
    convolution: Literal["direct", "patches"] = "direct"  # as Keras computes it, or as a matrix product over patches
    takes_patches: bool = False  # images come as the first convolution's patches, cut once

    @property
    def num_convolutions(self) -> int:
        """Before the dense layers."""
        return len(self.pools)

    @property
    def weights_per_convolution(self) -> int:
        """Kernel, bias; and gamma, beta of a batch normalization."""
        return 4 if self.batch_norm else 2

    @property
    def first_dense(self) -> int:
        """The index of the first dense kernel among the trainable variables."""
        return self.num_convolutions * self.weights_per_convolution

    def fitted(self, batches_lanes: bool, num_images: int) -> Self:
        """Compute convolutions as matrix products if lanes are batched; otherwise cut the images into patches once.

        Matrix products batch over lanes, and on a CPU they were 1.3 to 8 times as fast as XLA's convolutions. Cutting
        once, if the patches are small enough to keep, took a quarter less time on digits.
        """
        if batches_lanes:
            return replace(self, convolution="patches")
        num_bytes = self.kernel**2 * num_images * math.prod(self.image_shape) * np.float32().itemsize
        return replace(self, takes_patches=self.num_convolutions > 0 and num_bytes <= MAX_PATCH_BYTES)

    # ---- images ----

    @property
    def input_key(self) -> Hashable:
        """Equal where patches are."""
        return (self.kernel, self.padding) if self.takes_patches else None

    def prepared(self, images: Tensor) -> Tensor:
        """Images cut to the first convolution's patches (N, H, W, kernel^2 C), H and W of its output."""
        return _patches(images, self.kernel, self.padding) if self.takes_patches else images

    # ---- weights ----

    def weight_shapes(self, widths: Widths) -> list[Shape]:
        """Of each convolution kernel, bias, gamma and beta; then kernel and bias of each dense layer."""
        shapes: list[Shape] = []
        channels = self.image_shape[2]
        for filters in widths[: self.num_convolutions]:
            shapes += [(self.kernel, self.kernel, channels, filters), (filters,)]
            shapes += [(filters,), (filters,)] if self.batch_norm else []
            channels = filters
        inputs = math.prod(self._last_sides) * channels
        for units in (*widths[self.num_convolutions :], self.num_classes):
            shapes += [(inputs, units), (units,)]
            inputs = units
        return shapes

    def weight_blocks(self, widths: Widths) -> list[Shape]:
        """The rows of the first dense kernel are (height, width, channel) of what is flattened."""
        blocks = self.weight_shapes(widths)
        inputs, units = blocks[self.first_dense]
        blocks[self.first_dense] = (*self._last_sides, inputs // math.prod(self._last_sides), units)
        return blocks

    def statistics_shapes(self, widths: Widths) -> list[Shape]:
        """A pair for each convolution."""
        convolutions = widths[: self.num_convolutions]
        return [(filters,) for filters in convolutions for _ in range(2)] if self.batch_norm else []

    def initial_weights(self, layers: Sequence[Any], widths: Widths) -> list[NDArray[Any]]:
        """Kernels by the layers' initializers; biases and beta zeros, gamma ones."""
        kernels = iter([layer.kernel_initializer for layer in layers if hasattr(layer, "kernel_initializer")])
        dtype, weights = keras.config.floatx(), []
        for shape in self.weight_shapes(widths):
            if len(shape) > 1:
                weights.append(np.asarray(ops.convert_to_numpy(next(kernels)(shape, dtype=dtype))))
                num_vectors = 0
            else:  # bias; with batch normalization then gamma, which is one, and beta
                weights.append(np.full(shape, float(num_vectors == 1), dtype))
                num_vectors += 1
        return weights

    def penalized(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """Kernels of the regularizer's scope."""
        first = self.first_dense
        convolutions = weights[: first : self.weights_per_convolution] if self.penalizes_convolutions else []
        dense = weights[first::2] if self.penalizes_output else weights[first:-2:2]
        return [*convolutions, *dense]

    @property
    def _last_sides(self) -> tuple[int, int]:
        """(height, width) of what is flattened."""
        return self.sides[-1] if self.sides else self.image_shape[:2]

    # ---- what is computed ----

    def forward(
        self,
        weights: Sequence[Tensor],
        statistics: Sequence[Tensor],
        images: Tensor,
        dropout: Dropout | None,
        dtype: str,
    ) -> tuple[Tensor, list[Tensor]]:
        """Convolutions with batch normalizations, pools and dropouts, then dense layers."""
        step = self.weights_per_convolution
        updated: list[Tensor] = []
        x = ops.cast(images, dtype)
        for index in range(self.num_convolutions):
            layer = [*weights[index * step : (index + 1) * step], *statistics[2 * index : 2 * index + 2]]
            x = self._convolve(x, ops.cast(layer[0], dtype), is_cut=self.takes_patches and index == 0)
            x, moved = self._activate(layer[1:], x, is_training=dropout is not None)
            updated += moved
            if self.pools[index] > 1:
                x = ops.max_pool(x, self.pools[index], self.pools[index])
            x = self._drop(dropout, x, index)
        x = ops.reshape(x, (ops.shape(x)[0], -1))
        dense = weights[self.first_dense :]
        for index in range(self.num_hidden):
            x = keras.activations.get(self.activation)(_dense(x, *dense[2 * index : 2 * index + 2]))
            x = self._drop(dropout, x, self.num_convolutions + index)
        logits_BY = _dense(ops.cast(x, keras.config.floatx()), *dense[-2:])
        return keras.activations.get(self.output)(logits_BY), updated

    def _drop(self, dropout: Dropout | None, x: Tensor, layer: int) -> Tensor:
        return dropout(x, layer) if dropout is not None and self.dropouts[layer] else x

    def _convolve(self, x_BHWC: Tensor, kernel: Tensor, *, is_cut: bool) -> Tensor:
        """A convolution without its bias; as one matrix product where that is known to be faster.

        So it is where patches are cut already, and where the kernel covers the whole feature map: on a CPU a product
        takes a tenth of a small convolution's time.
        """
        if is_cut:
            return _product(x_BHWC, kernel)
        if self.padding == "valid" and tuple(x_BHWC.shape[1:3]) == (self.kernel, self.kernel):
            return _product(ops.reshape(x_BHWC, (ops.shape(x_BHWC)[0], 1, 1, -1)), kernel)
        if self.convolution == "patches":
            return _product(_patches(x_BHWC, self.kernel, self.padding), kernel)
        return ops.conv(x_BHWC, kernel, padding=self.padding)

    def _activate(self, layer: Sequence[Tensor], x_BHWC: Tensor, *, is_training: bool) -> tuple[Tensor, list[Tensor]]:
        """Bias, batch normalization if there is one, activation; and the moved statistics."""
        x_BHWC = ops.add(x_BHWC, ops.cast(layer[0], x_BHWC.dtype))
        moved: list[Tensor] = []
        if self.batch_norm:
            x_BHWC, moved = _batch_norm(layer[1:], x_BHWC, is_training=is_training)
        return keras.activations.get(self.activation)(x_BHWC), moved


def _patches(x_BHWC: Tensor, size: int, padding: str) -> Tensor:
    """(B, H, W, size^2 C): the values under a kernel of `size` x `size` at each place. H and W must be known."""
    if padding == "same":
        x_BHWC = ops.pad(x_BHWC, ((0, 0), ((size - 1) // 2, size // 2), ((size - 1) // 2, size // 2), (0, 0)))
    height, width = (side - size + 1 for side in x_BHWC.shape[1:3])
    shifted = [x_BHWC[:, i : i + height, j : j + width] for i in range(size) for j in range(size)]
    return ops.concatenate(shifted, axis=-1)


def _product(patches_BHWP: Tensor, kernel: Tensor) -> Tensor:
    """Patches of P = kernel^2 * C values times the kernel, as one product of two matrices: (B, H, W, filters)."""
    filters = ops.shape(kernel)[-1]
    size, height, width, _ = ops.shape(patches_BHWP)
    kernel = ops.reshape(kernel, (-1, filters))
    flat = ops.reshape(patches_BHWP, (-1, ops.shape(kernel)[0]))
    return ops.reshape(ops.matmul(flat, kernel), (size, height, width, filters))


def _batch_norm(layer: Sequence[Tensor], x_BHWC: Tensor, *, is_training: bool) -> tuple[Tensor, list[Tensor]]:
    """keras.layers.BatchNormalization with its defaults: in training by the minibatch's own moments."""
    gamma, beta, mean, variance = layer
    x = ops.cast(x_BHWC, keras.config.floatx())
    moved = [mean, variance]
    if is_training:
        moments = ops.moments(x, axes=(0, 1, 2))
        moved = [
            old * BATCH_NORM_MOMENTUM + new * (1.0 - BATCH_NORM_MOMENTUM)
            for old, new in zip(moved, moments, strict=True)
        ]
        mean, variance = moments
    x = ops.batch_normalization(x, mean, variance, axis=-1, offset=beta, scale=gamma, epsilon=BATCH_NORM_EPSILON)
    return ops.cast(x, x_BHWC.dtype), moved


def _dense(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    return ops.add(ops.matmul(x, ops.cast(kernel, x.dtype)), ops.cast(bias, x.dtype))
