"""Model and loss of one lane, on `keras.ops`: what the layers of `sweep.models.build` compute.

Nothing here knows of other lanes, nor of padding: padded weights are zeros, so what padded units give reaches nothing.
Shape suffixes: B minibatch, H W feature map, C channels, Y classes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from sweep.engines.packed.structure import LaneNumbers, Structure
from sweep.engines.placed import Arrays

Tensor = Any
Dropout = Callable[[Tensor, int], Tensor]  # what comes from layer 0, 1, ... of `ModelConfig.widths`
BATCH_NORM_MOMENTUM, BATCH_NORM_EPSILON = 0.99, 1e-3  # Keras's defaults


def forward(
    structure: Structure,
    weights: Sequence[Tensor],
    statistics: Sequence[Tensor],
    images_BHWC: Tensor,
    dropout: Dropout | None,
) -> tuple[Tensor, list[Tensor]]:
    """(probabilities_BY, new statistics). `dropout` acts in training; without it (None) it is a validation.

    Where the structure takes patches, images are (B, H, W, kernel^2 C) with H and W of the first convolution's output.
    """
    dtype = "bfloat16" if structure.precision == "mixed_bfloat16" else keras.config.floatx()
    step = structure.weights_per_convolution
    updated: list[Tensor] = []
    x = ops.cast(images_BHWC, dtype)
    for index in range(structure.num_convolutions):
        layer = [*weights[index * step : (index + 1) * step], *statistics[2 * index : 2 * index + 2]]
        x = _convolve(structure, x, ops.cast(layer[0], dtype), is_cut=structure.takes_patches and index == 0)
        x, moved = _activate(structure, layer[1:], x, is_training=dropout is not None)
        updated += moved
        if structure.pools[index] > 1:
            x = ops.max_pool(x, structure.pools[index], structure.pools[index])
        x = _drop(structure, dropout, x, index)
    x = ops.reshape(x, (ops.shape(x)[0], -1))
    dense = weights[structure.first_dense :]
    for index in range(structure.num_hidden):
        x = keras.activations.get(structure.activation)(_dense(x, *dense[2 * index : 2 * index + 2]))
        x = _drop(structure, dropout, x, structure.num_convolutions + index)
    logits_BY = _dense(ops.cast(x, keras.config.floatx()), *dense[-2:])
    return keras.activations.get(structure.output)(logits_BY), updated


def loss(
    structure: Structure, weights: Sequence[Tensor], numbers: LaneNumbers, labels_B: Tensor, probabilities_BY: Tensor
) -> Tensor:
    """Mean cross-entropy plus the penalties `l1 * sum|w| + l2 * sum w^2` of the kernels.

    Penalties are stacked: where TensorFlow thinks memory short (a CPU has 256 MB to it), it makes of a chain of
    additions one that works in a temporary variable, which lanes that run at a time would share.
    """
    losses_B = ops.sparse_categorical_crossentropy(labels_B, probabilities_BY)
    total = ops.sum(losses_B) / ops.cast(ops.shape(losses_B)[0], losses_B.dtype)  # Keras's mean is of float32 on JAX
    first, step = structure.first_dense, structure.weights_per_convolution
    convolutions = weights[:first:step] if structure.penalizes_convolutions else []
    dense = weights[first::2] if structure.penalizes_output else weights[first:-2:2]
    penalties = _penalties(structure, [*convolutions, *dense], numbers)
    return total + ops.sum(ops.stack(penalties)) if penalties else total


def num_correct(labels_B: Tensor, probabilities_BY: Tensor) -> Tensor:
    """How many labels are the most probable class, as a float."""
    hits_B = ops.equal(ops.cast(ops.argmax(probabilities_BY, axis=-1), "int32"), labels_B)
    return ops.sum(ops.cast(hits_B, keras.config.floatx()))


def _drop(structure: Structure, dropout: Dropout | None, x: Tensor, layer: int) -> Tensor:
    return dropout(x, layer) if dropout is not None and structure.dropouts[layer] else x


def _convolve(structure: Structure, x_BHWC: Tensor, kernel: Tensor, *, is_cut: bool) -> Tensor:
    """A convolution without its bias; as one matrix product where that is known to be faster.

    So it is where patches are cut already, and where the kernel covers the whole feature map: on a CPU a product takes
    a tenth of a small convolution's time.
    """
    if is_cut:
        return _product(x_BHWC, kernel)
    if structure.padding == "valid" and tuple(x_BHWC.shape[1:3]) == (structure.kernel, structure.kernel):
        return _product(ops.reshape(x_BHWC, (ops.shape(x_BHWC)[0], 1, 1, -1)), kernel)
    if structure.convolution == "patches":
        return _product(patches(x_BHWC, structure.kernel, structure.padding), kernel)
    return ops.conv(x_BHWC, kernel, padding=structure.padding)


def patches(x_BHWC: Tensor, size: int, padding: str) -> Tensor:
    """(B, H, W, size^2 C): the values under a kernel of `size` x `size` at each place. H and W must be known."""
    if padding == "same":
        x_BHWC = ops.pad(x_BHWC, ((0, 0), ((size - 1) // 2, size // 2), ((size - 1) // 2, size // 2), (0, 0)))
    height, width = (side - size + 1 for side in x_BHWC.shape[1:3])
    shifted = [x_BHWC[:, i : i + height, j : j + width] for i in range(size) for j in range(size)]
    return ops.concatenate(shifted, axis=-1)


def with_patches(structure: Structure, arrays: Arrays) -> Arrays:
    """Images cut to the first convolution's patches, for a structure that takes them."""
    return Arrays(patches(arrays.images, structure.kernel, structure.padding), arrays.labels)


def _product(patches_BHWP: Tensor, kernel: Tensor) -> Tensor:
    """Patches of P = kernel^2 * C values times the kernel, as one product of two matrices: (B, H, W, filters)."""
    filters = ops.shape(kernel)[-1]
    size, height, width, _ = ops.shape(patches_BHWP)
    kernel = ops.reshape(kernel, (-1, filters))
    flat = ops.reshape(patches_BHWP, (-1, ops.shape(kernel)[0]))
    return ops.reshape(ops.matmul(flat, kernel), (size, height, width, filters))


def _activate(
    structure: Structure, layer: Sequence[Tensor], x_BHWC: Tensor, *, is_training: bool
) -> tuple[Tensor, list[Tensor]]:
    """Bias, batch normalization if there is one, activation; and the moved statistics."""
    x_BHWC = ops.add(x_BHWC, ops.cast(layer[0], x_BHWC.dtype))
    moved: list[Tensor] = []
    if structure.batch_norm:
        x_BHWC, moved = _batch_norm(layer[1:], x_BHWC, is_training=is_training)
    return keras.activations.get(structure.activation)(x_BHWC), moved


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


def _penalties(structure: Structure, kernels: Sequence[Tensor], numbers: LaneNumbers) -> list[Tensor]:
    """What the structure has not is not computed: small nets are bound by the number of operations."""
    l1 = [numbers.l1 * ops.sum(ops.absolute(kernel)) for kernel in kernels if structure.has_l1]
    l2 = [numbers.l2 * ops.sum(ops.square(kernel)) for kernel in kernels if structure.has_l2]
    return l1 + l2
