"""What a layer costs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class LayerCost:
    """Weights; for one image, multiply-adds of a forward pass and values of the feature maps, pooled ones too."""

    num_weights: int
    num_multiply_adds: int
    num_map_values: int = 0


def dense_costs(inputs: int, units: Iterable[int]) -> Iterator[LayerCost]:
    """Of dense layers in a row."""
    for outputs in units:
        yield LayerCost((inputs + 1) * outputs, inputs * outputs)
        inputs = outputs
