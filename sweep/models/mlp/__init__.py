"""Multilayer perceptrons: dense layers alone."""

import math
from collections.abc import Iterator
from typing import Any

from sweep.config.model import ImageShape
from sweep.config.training import RegularizerConfig
from sweep.models.family import Family
from sweep.models.lane_kernel import LaneKernel
from sweep.models.layer_cost import LayerCost, dense_costs
from sweep.models.mlp.config import MlpConfig


def _layers(model: MlpConfig, regularizer: RegularizerConfig, image_shape: ImageShape, num_classes: int) -> list[Any]:
    from sweep.models.mlp.layers import layers

    return layers(model, regularizer, image_shape, num_classes)


def _layer_costs(model: MlpConfig, image_shape: ImageShape, num_classes: int) -> Iterator[LayerCost]:
    return dense_costs(math.prod(image_shape), (*model.hidden_units, num_classes))


def _kernel(model: MlpConfig, regularizer: RegularizerConfig, image_shape: ImageShape, num_classes: int) -> LaneKernel:
    """That of a CNN without convolutions."""
    from sweep.models.cnn.lane_kernel import StackedKernel

    return StackedKernel(
        image_shape=image_shape,
        num_classes=num_classes,
        num_hidden=len(model.hidden_units),
        activation=model.activation,
        output=model.output_activation,
        dropouts=tuple(rate > 0 for rate in model.lane_dropouts),
        penalizes_convolutions=False,
        penalizes_output=regularizer.is_on and regularizer.scope != "hidden",
    )


FAMILY = Family(config=MlpConfig, layers=_layers, cost=_layer_costs, kernel=_kernel)
