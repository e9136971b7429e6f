"""What the layers of a CNN cost."""

from collections.abc import Iterator

from sweep.config.model import ImageShape
from sweep.models.cnn.config import CnnConfig
from sweep.models.layer_cost import LayerCost, dense_costs


def layer_costs(model: CnnConfig, image_shape: ImageShape, num_classes: int) -> Iterator[LayerCost]:
    """Convolutions with their pools and batch normalizations, then dense layers."""
    height, width, channels = image_shape
    shrink = 0 if model.padding == "same" else model.kernel_size - 1
    for filters, sides in zip(model.filters, model.feature_map_sides(height, width), strict=True):
        height, width = height - shrink, width - shrink
        kernel, per_filter = model.kernel_size**2 * channels * filters, 5 if model.batch_normalization else 1
        pooled = 0 if sides == (height, width) else sides[0] * sides[1]
        yield LayerCost(kernel + per_filter * filters, height * width * kernel, (height * width + pooled) * filters)
        (height, width), channels = sides, filters
    yield from dense_costs(height * width * channels, (model.dense_units, num_classes))
