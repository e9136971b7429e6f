"""Convolutional networks."""

from typing import Any

from sweep.config.model import ImageShape
from sweep.config.training import RegularizerConfig
from sweep.models.cnn.config import CnnConfig
from sweep.models.cnn.cost import layer_costs
from sweep.models.family import Family
from sweep.models.lane_kernel import LaneKernel


def _layers(model: CnnConfig, regularizer: RegularizerConfig, image_shape: ImageShape, num_classes: int) -> list[Any]:
    from sweep.models.cnn.layers import layers

    return layers(model, regularizer, image_shape, num_classes)


def _kernel(model: CnnConfig, regularizer: RegularizerConfig, image_shape: ImageShape, num_classes: int) -> LaneKernel:
    """SpaceError if no feature map is left."""
    from sweep.models.cnn.lane_kernel import StackedKernel

    return StackedKernel(
        image_shape=image_shape,
        num_classes=num_classes,
        num_hidden=1,
        activation=model.activation,
        output=model.output_activation,
        dropouts=tuple(rate > 0 for rate in model.lane_dropouts),
        penalizes_convolutions=regularizer.is_on and regularizer.scope == "all",
        penalizes_output=regularizer.is_on and regularizer.scope != "hidden",
        kernel=model.kernel_size,
        pools=model.pools,
        padding=model.padding,
        batch_norm=model.batch_normalization,
        sides=tuple(model.feature_map_sides(*image_shape[:2])),
    )


FAMILY = Family(config=CnnConfig, layers=_layers, cost=layer_costs, kernel=_kernel)
