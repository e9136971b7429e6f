"""What one lane computes of a minibatch, on `keras.ops`: the family's kernel, the loss, the accuracy.

Shape suffixes: B minibatch, Y classes.
"""

from collections.abc import Sequence

import keras
from keras import ops

from sweep.engines.losses import losses_of
from sweep.engines.packed.structure import LaneNumbers, Structure
from sweep.models.lane_kernel import Dropout, Tensor


def forward(
    structure: Structure,
    weights: Sequence[Tensor],
    statistics: Sequence[Tensor],
    images: Tensor,
    dropout: Dropout | None,
) -> tuple[Tensor, list[Tensor]]:
    """(probabilities_BY, new statistics). `dropout` acts in training; without it (None) it is a validation.

    Images are as the kernel's `prepared` gives them.
    """
    dtype = "bfloat16" if structure.precision == "mixed_bfloat16" else keras.config.floatx()
    return structure.kernel.forward(weights, statistics, images, dropout, dtype)


def loss(
    structure: Structure,
    weights: Sequence[Tensor],
    numbers: LaneNumbers,
    labels_B: Tensor,
    probabilities_BY: Tensor,
    class_weights: Sequence[Tensor] = (),
) -> Tensor:
    """Mean loss of the images plus the penalties `l1 * sum|w| + l2 * sum w^2` of the kernels.

    `class_weights` are those of a lane, in training; each image's loss is multiplied by its class's.

    Penalties are stacked: where TensorFlow thinks memory short (a CPU has 256 MB to it), it makes of a chain of
    additions one that works in a temporary variable, which lanes that run at a time would share.
    """
    losses_B = losses_of(structure.loss, labels_B, probabilities_BY, numbers.label_smoothing)
    for weights_Y in class_weights:
        losses_B = losses_B * ops.cast(ops.take(weights_Y, labels_B), losses_B.dtype)
    total = ops.sum(losses_B) / ops.cast(ops.shape(losses_B)[0], losses_B.dtype)  # Keras's mean is of float32 on JAX
    penalties = _penalties(structure, structure.kernel.penalized(weights), numbers)
    return total + ops.sum(ops.stack(penalties)) if penalties else total


def num_correct(labels_B: Tensor, probabilities_BY: Tensor) -> Tensor:
    """How many labels are the most probable class, as a float."""
    hits_B = ops.equal(ops.cast(ops.argmax(probabilities_BY, axis=-1), "int32"), labels_B)
    return ops.sum(ops.cast(hits_B, keras.config.floatx()))


def _penalties(structure: Structure, kernels: Sequence[Tensor], numbers: LaneNumbers) -> list[Tensor]:
    """What the structure has not is not computed: small nets are bound by the number of operations."""
    l1 = [numbers.l1 * ops.sum(ops.absolute(kernel)) for kernel in kernels if structure.has_l1]
    l2 = [numbers.l2 * ops.sum(ops.square(kernel)) for kernel in kernels if structure.has_l2]
    return l1 + l2
