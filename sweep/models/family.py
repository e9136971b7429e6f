"""`Family`: all that sweep knows of a model family. To add one is to write one.

A folder each in this package has a `FAMILY`; one of your own is named as `model.family = "my_models:FAMILY"`, or by an
entry point `sweep.families` of an installed package:

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

from sweep.config.families import family_named
from sweep.config.model import OF_BUILDERS, ImageShape, ModelConfig
from sweep.config.section import Fraction, IntList, Positive, Rate
from sweep.config.training import RegularizerConfig
from sweep.models.lane_kernel import LaneKernel
from sweep.models.layer_cost import LayerCost

__all__ = [  # what a family's file may need
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
    """A model family. Either `layers` or `build` makes its networks, from `[model]` and `[regularizer]`.

    Attributes:
        config: The class of its `[model]`.
        layers: (model, regularizer, image_shape, num_classes) -> layers of a `keras.Sequential`, the input first, not
            yet built. Nothing but Keras's layers may draw random numbers.
        build: The same arguments -> an uncompiled `keras.Model` (N, *image_shape) -> (N, num_classes), of any kind.
        cost: (model, image_shape, num_classes) -> what each layer costs, from which lanes are counted. Without it a
            trial has the device to itself.
        kernel: (model, regularizer, image_shape, num_classes) -> what the packed engine compiles; for `layers` alone.
            Without it the sequential engine trains.
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


def users_model(model: ModelConfig) -> str:
    """`model.builder: my_models:build`, which opens messages about a network that is not ours."""
    return f"model.{'builder' if model.family == OF_BUILDERS else 'family'}: {model.users_code}"


def family_of(model: ModelConfig) -> Family[Any]:
    """The family of a config."""
    found: Family[Any] = family_named(model.family)
    return found
