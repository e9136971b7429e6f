"""What lanes must share to run through one compiled program, and what is free in each of them. Pure Python and NumPy.

A **structure** is all of a config that shapes the program: the network's kernel, optimizer, batch size, ... Everything
that is a plain number is an input (`lane_numbers`). On TensorFlow widths (filters, dense units) are free too; JAX
compiles for fixed shapes, so there a lane's arrays are padded to the structure's `widths`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweep.config.trial import TrialConfig
from sweep.data import Dataset
from sweep.models.family import family_of
from sweep.models.lane_kernel import LaneKernel, Shape, Widths

ADAMW_WEIGHT_DECAY = 0.004  # Keras's default, where the config has none


@dataclass(frozen=True)
class Structure:
    """What is compiled in."""

    kernel: LaneKernel
    has_l1: bool
    has_l2: bool
    optimizer: str
    batch_size: int
    precision: str
    has_class_weight: bool = False
    loss: str = ""  # see `losses_of`
    widths: Widths | None = None  # padded to; None: free

    def dropout_number(self, layer: int) -> int:
        """How many dropouts come before the one after `layer` of the widths."""
        return sum(self.kernel.dropouts[:layer])


class LaneNumbers(NamedTuple):
    """A lane's plain numbers, in the order of the vector that the program takes."""

    l1: float
    l2: float
    momentum: float
    nesterov: float  # 1 or 0
    weight_decay: float
    label_smoothing: float
    rates: Sequence[float] = ()  # of each dropout, and 1 - rate: two numbers each

    @classmethod
    def of(cls, vector: Any) -> "LaneNumbers":
        """From the vector, or a list of its entries."""
        l1, l2, momentum, nesterov, weight_decay, label_smoothing, *rates = vector
        return cls(l1, l2, momentum, nesterov, weight_decay, label_smoothing, rates)

    def vector(self) -> list[float]:
        """All of them."""
        return [*self[:-1], *self.rates]

    def dropout(self, number: int) -> tuple[float, float]:
        """(rate, 1 - rate) of dropout 0, 1, ..."""
        return self.rates[2 * number], self.rates[2 * number + 1]


def structure_of(config: TrialConfig, dataset: Dataset) -> Structure:
    """The structure of a config whose family has a kernel, widths free. SpaceError if it does not fit the images."""
    kernel = family_of(config.model).kernel
    assert kernel is not None
    return Structure(
        kernel=kernel(config.model, config.regularizer, dataset.image_shape, dataset.num_classes),
        has_l1=config.regularizer.l1 > 0,
        has_l2=config.regularizer.l2 > 0,
        optimizer=config.optimizer.name,
        batch_size=config.training.batch_size,
        precision=config.training.precision,
        has_class_weight=config.training.class_weight is not None,
        loss=config.training.loss if config.training.has_one_hot_loss else "",
    )


def padded(structure: Structure, widths: Widths, widest: Sequence[Widths]) -> Structure:
    """The structure with its widths fixed: the lane's, or the `widest` of as many layers where those are more."""
    alike = [given for given in (widths, *widest) if len(given) == len(widths)]
    return replace(structure, widths=tuple(map(max, *alike, alike[0])))


def lane_numbers(config: TrialConfig) -> LaneNumbers:
    """The inputs of a lane; what a config leaves out has Keras's default."""
    optimizer = config.optimizer
    weight_decay = ADAMW_WEIGHT_DECAY if optimizer.weight_decay is None else optimizer.weight_decay
    return LaneNumbers(
        l1=config.regularizer.l1,
        l2=config.regularizer.l2,
        momentum=optimizer.momentum or 0.0,
        nesterov=float(optimizer.nesterov),
        weight_decay=weight_decay if optimizer.name == "adamw" else 0.0,
        label_smoothing=config.training.label_smoothing,
        rates=[number for rate in config.model.lane_dropouts if rate > 0 for number in (rate, 1.0 - rate)],
    )


def pad_weights(structure: Structure, widths: Widths, weights: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """True shapes -> padded shapes, zeros outside."""
    return [_pad(weight, *shapes) for weight, shapes in zip(weights, _shapes(structure, widths), strict=True)]


def unpad_weights(structure: Structure, widths: Widths, weights: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Padded shapes -> true shapes: the inverse of `pad_weights`."""
    return [_cut(weight, *shapes) for weight, shapes in zip(weights, _shapes(structure, widths), strict=True)]


def _shapes(structure: Structure, widths: Widths) -> list[tuple[Shape, Shape, Shape, Shape]]:
    """Of each weight, the true and the padded shape, each as a block and as it is."""
    assert structure.widths is not None
    kernel, sizes = structure.kernel, (widths, structure.widths)
    blocks, shapes = map(kernel.weight_blocks, sizes), map(kernel.weight_shapes, sizes)
    return [*zip(*blocks, *shapes, strict=True)]


def _pad(weight: NDArray[Any], block: Shape, wide_block: Shape, _: Shape, wide: Shape) -> NDArray[Any]:
    added = [(0, more - size) for size, more in zip(block, wide_block, strict=True)]
    return np.pad(weight.reshape(block), added).reshape(wide)


def _cut(weight: NDArray[Any], block: Shape, wide_block: Shape, shape: Shape, _: Shape) -> NDArray[Any]:
    return weight.reshape(wide_block)[tuple(slice(size) for size in block)].reshape(shape)
