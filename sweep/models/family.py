"""`Family`: everything that sweep knows about a model family.

Each folder in this package has a `FAMILY`. A custom one is given as `model.family = "my_models:FAMILY"`, or by an entry
point `sweep.families` of an installed package:

    from sweep.models.family import Family, ModelConfig

    class PerceptronConfig(ModelConfig):  # keys of [model], checked by pydantic
        units: int = 32

    def layers(model, regularizer, image_shape, num_classes):
        import keras  # here, so that commands which train nothing stay quick
        dense = keras.layers.Dense
        return [keras.Input(image_shape), keras.layers.Flatten(), dense(model.units), dense(num_classes, "softmax")]

    FAMILY = Family(config=PerceptronConfig, layers=layers)
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sweep.config.families import get_family
from sweep.config.model import OF_BUILDERS, ImageShape, ModelConfig
from sweep.config.section import Fraction, IntList, Positive, Rate
from sweep.config.training import RegularizerConfig
from sweep.models.lane_kernel import LaneKernel
from sweep.models.layer_cost import LayerCost

__all__ = [  # for the file of a family
    "Family",
    "Fraction",
    "ImageShape",
    "IntList",
    "LayerCost",
    "ModelConfig",
    "Positive",
    "Rate",
    "RegularizerConfig",
    "family_of",
]

Config = TypeVar("Config", bound=ModelConfig)


@dataclass(frozen=True)
class Family(Generic[Config]):
    """A model family. Either `layers` or `build` creates its networks from `[model]` and `[regularizer]`.

    Attributes:
        config: Class of its `[model]` section.
        layers: Function (model, regularizer, image_shape, num_classes) that returns the layers of a `keras.Sequential`,
            the input first, not built yet. Only Keras's layers may draw random numbers.
        build: Function of the same arguments that returns an uncompiled `keras.Model` of any kind, which maps
            (N, *image_shape) to (N, num_classes).
        cost: Function (model, image_shape, num_classes) that yields the cost of each layer, from which the number of
            lanes is derived. None: a trial has the device to itself.
        kernel: Function (model, regularizer, image_shape, num_classes) that returns what the packed engine compiles;
            only with `layers`. None: the sequential engine trains the family.

    Raises:
        TypeError: Both or neither of `layers` and `build` are given, or a kernel without `layers`.
    """

    config: type[Config]
    layers: Callable[[Config, RegularizerConfig, ImageShape, int], list[Any]] | None = None
    build: Callable[[Config, RegularizerConfig, ImageShape, int], Any] | None = None
    cost: Callable[[Config, ImageShape, int], Iterable[LayerCost]] | None = None
    kernel: Callable[[Config, RegularizerConfig, ImageShape, int], LaneKernel] | None = None

    def __post_init__(self) -> None:
        if (self.layers is None) == (self.build is None):
            raise TypeError(f"a Family of {self.config.__name__} needs either layers or build")
        if self.kernel is not None and self.layers is None:
            raise TypeError(f"a Family of {self.config.__name__} with a kernel needs layers")


def user_model_label(model: ModelConfig) -> str:
    """Return the start of messages about a custom model, such as `model.builder: my_models:build`."""
    return f"model.{'builder' if model.family == OF_BUILDERS else 'family'}: {model.user_code}"


def family_of(model: ModelConfig) -> Family[Any]:
    """Return the family of a model config."""
    found: Family[Any] = get_family(model.family)
    return found
