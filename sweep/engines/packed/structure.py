"""What lanes must share to run through one compiled program, and what is free in each of them. Pure Python and NumPy.

A **structure** is all of a config that shapes the program: number of layers, activation, optimizer, batch size, ...
Everything that is a plain number is an input (`lane_numbers`). On TensorFlow widths (filters, dense units) are free
too; JAX compiles for fixed shapes, so there a lane's arrays are padded to the structure's `widths`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweep.config.trial import TrialConfig
from sweep.data import Dataset

Shape = tuple[int, ...]
Widths = tuple[int, ...]  # as `ModelConfig.widths`
ADAMW_WEIGHT_DECAY = 0.004  # Keras's default, where the config has none


@dataclass(frozen=True)
class Structure:
    """What is compiled in."""

    image_shape: tuple[int, int, int]
    num_classes: int
    num_convolutions: int
    num_hidden: int  # dense layers but the output
    kernel: int
    pools: tuple[int, ...]  # as `ModelConfig.pools`
    padding: str
    activation: str
    output: str
    batch_norm: bool
    dropouts: tuple[bool, ...]  # whether one follows, after each of `ModelConfig.widths`
    has_l1: bool
    has_l2: bool
    penalizes_convolutions: bool
    penalizes_output: bool
    optimizer: str
    batch_size: int
    precision: str
    sides: tuple[tuple[int, int], ...]  # as `ModelConfig.feature_map_sides`; none of an MLP
    widths: Widths | None = None  # padded to; None: free
    convolution: Literal["direct", "patches"] = "direct"  # as Keras computes it, or as a matrix product over patches
    takes_patches: bool = False  # images come as the first convolution's patches, cut once

    @property
    def last_sides(self) -> tuple[int, int]:
        """(height, width) of what is flattened."""
        return self.sides[-1] if self.sides else self.image_shape[:2]

    @property
    def weights_per_convolution(self) -> int:
        """Kernel, bias; and gamma, beta of a batch normalization."""
        return 4 if self.batch_norm else 2

    @property
    def first_dense(self) -> int:
        """The index of the first dense kernel among the trainable variables."""
        return self.num_convolutions * self.weights_per_convolution

    def dropout_number(self, layer: int) -> int:
        """How many dropouts come before the one after `layer` of the widths."""
        return sum(self.dropouts[:layer])

    def dropout_of(self, numbers: "LaneNumbers", layer: int) -> tuple[float, float]:
        """(rate, 1 - rate) of the dropout after `layer` of the widths."""
        if layer < self.num_convolutions:
            return numbers.convolution_dropout, numbers.convolution_kept
        return numbers.dropout, numbers.kept

    def weight_shapes(self, widths: Widths) -> list[Shape]:
        """Shapes of the trainable variables, in the order of the Keras model's."""
        shapes: list[Shape] = []
        channels = self.image_shape[2]
        for filters in widths[: self.num_convolutions]:
            shapes += [(self.kernel, self.kernel, channels, filters), (filters,)]
            shapes += [(filters,), (filters,)] if self.batch_norm else []
            channels = filters
        height, width = self.last_sides
        inputs = height * width * channels
        for units in (*widths[self.num_convolutions :], self.num_classes):
            shapes += [(inputs, units), (units,)]
            inputs = units
        return shapes

    def statistics_shapes(self, widths: Widths) -> list[Shape]:
        """Shapes of batch normalization's moving means and variances, a pair for each convolution."""
        convolutions = widths[: self.num_convolutions]
        return [(filters,) for filters in convolutions for _ in range(2)] if self.batch_norm else []


class LaneNumbers(NamedTuple):
    """A lane's plain numbers, in the order of the vector that the program takes."""

    l1: float
    l2: float
    momentum: float
    nesterov: float  # 1 or 0
    weight_decay: float
    convolution_dropout: float
    convolution_kept: float  # 1 - convolution_dropout
    dropout: float
    kept: float  # 1 - dropout


def structure_of(config: TrialConfig, dataset: Dataset) -> Structure:
    """The structure of a config without a builder, widths free. SpaceError if no feature map is left."""
    model, regularizer, training = config.model, config.regularizer, config.training
    return Structure(
        image_shape=dataset.image_shape,
        num_classes=dataset.num_classes,
        num_convolutions=len(model.convolutions),
        num_hidden=len(model.hidden),
        kernel=model.kernel,
        pools=model.pools,
        padding=model.padding,
        activation=model.activation,
        output=model.output,
        batch_norm=model.batch_norm,
        dropouts=tuple(rate > 0 for rate in model.dropouts),
        has_l1=regularizer.l1 > 0,
        has_l2=regularizer.l2 > 0,
        penalizes_convolutions=bool(regularizer.l1 or regularizer.l2) and regularizer.scope == "all",
        penalizes_output=bool(regularizer.l1 or regularizer.l2) and regularizer.scope != "hidden",
        optimizer=config.optimizer.name,
        batch_size=training.batch_size,
        precision=training.precision,
        sides=tuple(model.feature_map_sides(*dataset.image_shape[:2])),
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
        convolution_dropout=config.model.convolution_dropout,
        convolution_kept=1.0 - config.model.convolution_dropout,
        dropout=config.model.dropout,
        kept=1.0 - config.model.dropout,
    )


def pad_weights(structure: Structure, widths: Widths, weights: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """True shapes -> padded shapes, zeros outside."""
    return [_pad(weight, *_blocks(structure, widths, index)) for index, weight in enumerate(weights)]


def cut_weights(structure: Structure, widths: Widths, weights: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Padded shapes -> true shapes: the inverse of `pad_weights`."""
    return [_cut(weight, *_blocks(structure, widths, index)) for index, weight in enumerate(weights)]


def _blocks(structure: Structure, widths: Widths, index: int) -> tuple[Shape, Shape, Shape]:
    """Of weight `index`: its true shape, and true and padded shape with the flattened feature map taken apart."""
    assert structure.widths is not None
    true, wide = structure.weight_shapes(widths), structure.weight_shapes(structure.widths)
    if index != structure.first_dense:
        return true[index], true[index], wide[index]
    area = structure.last_sides[0] * structure.last_sides[1]
    blocks = [(*structure.last_sides, inputs // area, units) for inputs, units in (true[index], wide[index])]
    return true[index], blocks[0], blocks[1]


def _pad(weight: NDArray[Any], _: Shape, true: Shape, wide: Shape) -> NDArray[Any]:
    added = [(0, more - size) for size, more in zip(true, wide, strict=True)]
    array = np.pad(weight.reshape(true), added)
    return array.reshape((-1, wide[-1])) if len(weight.shape) == 2 else array


def _cut(weight: NDArray[Any], shape: Shape, true: Shape, wide: Shape) -> NDArray[Any]:
    return weight.reshape(wide)[tuple(slice(size) for size in true)].reshape(shape)
