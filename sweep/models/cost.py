"""What training a config costs: arithmetic without Keras, from what its family says of its layers."""

from dataclasses import dataclass

from sweep.config.model import ImageShape
from sweep.config.trial import TrialConfig
from sweep.models.family import family_of
from sweep.space.space import Space

PASSES = 3  # of a training step: forward, and backward to the layer's inputs and to its weights
COPIES_OF_WEIGHTS = 4  # the weights, their gradients and two slots of the optimizer
COPIES_OF_MAPS = 3  # a feature map, its gradient, and what is kept of it for the way back
BYTES = 4  # of a float32


@dataclass(frozen=True)
class TrialCost:
    """What one lane needs: floating-point operations of a training step, bytes of memory."""

    step_flops: int
    lane_bytes: int


def largest_cost(space: Space, image_shape: ImageShape, num_classes: int) -> TrialCost | None:
    """The most that a config of the space needs, over its extreme configs; None if a family says nothing of it."""
    costs = []
    for config in space.extreme_configs():
        cost = trial_cost(config, image_shape, num_classes)
        if cost is None:
            return None
        costs.append(cost)
    return TrialCost(max(cost.step_flops for cost in costs), max(cost.lane_bytes for cost in costs))


def trial_cost(config: TrialConfig, image_shape: ImageShape, num_classes: int) -> TrialCost | None:
    """What a config needs, with B images a minibatch; None if its family says nothing of it.

    step_flops = 3 B * 2 * multiply-adds of a forward pass
    lane_bytes = 4 * (4 * weights + 3 B * values of the feature maps)
    """
    cost = family_of(config.model).cost
    if cost is None:
        return None
    layers = [*cost(config.model, image_shape, num_classes)]
    batch_size = config.training.batch_size
    num_values = COPIES_OF_WEIGHTS * sum(layer.num_weights for layer in layers)
    num_values += COPIES_OF_MAPS * batch_size * sum(layer.num_map_values for layer in layers)
    step_flops = PASSES * batch_size * 2 * sum(layer.num_multiply_adds for layer in layers)
    return TrialCost(step_flops, BYTES * num_values)
