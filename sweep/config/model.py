"""`[model]`: the network, one of a family or the user's own."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sweep.config.section import IntList, Positive, Rate, Section
from sweep.errors import SpaceError

FamilyName = Literal["cnn", "mlp"]
FAMILY_KEYS: dict[str, tuple[str, ...]] = {  # which keys only one family reads
    "cnn": (
        "filters",
        "kernel",
        "pool",
        "convolutions_per_pool",
        "padding",
        "batch_norm",
        "dense_units",
        "convolution_dropout",
    ),
    "mlp": ("hidden_units",),
}


class ModelConfig(Section):
    """The network: a family, or the user's own `builder` with its `options`.

    cnn    convolutions of `filters`, in groups of `convolutions_per_pool`; after each group a pool, but not after the
           last, and a dropout (`convolution_dropout`); one dense layer of `dense_units`, dropout, output
    mlp    dense layers of `hidden_units`, dropout after each, output
    """

    family: FamilyName = "cnn"
    filters: Annotated[IntList, Field(min_length=1)] = (32, 64)
    kernel: Positive = 3
    pool: Positive = 2
    convolutions_per_pool: Positive = 1
    padding: Literal["valid", "same"] = "valid"
    activation: Literal["relu", "sigmoid", "elu", "tanh"] = "relu"
    dense_units: Positive = 64
    hidden_units: Annotated[IntList, Field(min_length=1)] = (64, 64)
    output: Literal["softmax", "sigmoid"] = "softmax"
    initializer: Literal[
        "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
        "lecun_uniform", "lecun_normal", "uniform", "normal", "zeros",
    ] = "glorot_uniform"  # fmt: skip
    convolution_dropout: Rate = 0.0
    dropout: Rate = 0.0
    batch_norm: bool = False
    builder: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _builder_stands_alone(self) -> Self:
        if self.builder is None and self.options:
            raise ValueError('options are passed to a builder; add builder = "my_models:build" or remove them')
        ignored = self.model_fields_set - {"builder", "options"}
        if self.builder is not None and ignored:
            raise ValueError(f"{sorted(ignored)[0]} has no effect with a builder; move it to [model.options]")
        for family, keys in FAMILY_KEYS.items():
            strange = sorted(self.model_fields_set.intersection(keys)) if family != self.family else []
            if strange:
                raise ValueError(f'{strange[0]} belongs to family = "{family}", not {self.family}; remove it')
        try:
            json.dumps(self.options, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"options must be JSON values, as they are stored with the study: {error}") from None
        return self

    @property
    def convolutions(self) -> tuple[int, ...]:
        """Filters of each convolution; an MLP has none."""
        return self.filters if self.family == "cnn" else ()

    @property
    def hidden(self) -> tuple[int, ...]:
        """Units of each dense layer but the output."""
        return (self.dense_units,) if self.family == "cnn" else self.hidden_units

    @property
    def widths(self) -> tuple[int, ...]:
        """Filters of each convolution, then units of each hidden dense layer."""
        return (*self.convolutions, *self.hidden)

    @property
    def pools(self) -> tuple[int, ...]:
        """The size of the pool after each convolution; 1 where there is none.

        >>> ModelConfig(filters=(32, 32, 64, 64, 64), convolutions_per_pool=2).pools
        (1, 2, 1, 2, 1)
        """
        last = len(self.convolutions) - 1
        return tuple(self.pool if index != last and self._ends_group(index) else 1 for index in range(last + 1))

    @property
    def dropouts(self) -> tuple[float, ...]:
        """The rate of the dropout after each of `widths`; 0 where there is none.

        >>> ModelConfig(filters=(32, 32, 64), convolutions_per_pool=2, convolution_dropout=0.3, dropout=0.5).dropouts
        (0.0, 0.3, 0.3, 0.5)
        """
        indices = range(len(self.convolutions))
        groups = [self.convolution_dropout if self._ends_group(index) else 0.0 for index in indices]
        return (*groups, *(self.dropout for _ in self.hidden))

    def _ends_group(self, index: int) -> bool:
        number = index + 1
        return number == len(self.convolutions) or number % self.convolutions_per_pool == 0

    def feature_map_sides(self, height: int, width: int) -> list[tuple[int, int]]:
        """(height, width) after each convolution and its pool; SpaceError if nothing is left.

        >>> ModelConfig(filters=(32, 64, 64)).feature_map_sides(28, 28)
        [(13, 13), (5, 5), (3, 3)]
        """
        shrink = 0 if self.padding == "same" else self.kernel - 1
        sides = []
        for index, pool in enumerate(self.pools):
            height, width = (height - shrink) // pool, (width - shrink) // pool
            if min(height, width) < 1:
                raise SpaceError(
                    f"model.filters: convolution {index + 1} of {len(self.filters)} (kernel {self.kernel}, "
                    f'pool {self.pool}, padding "{self.padding}") leaves no feature map; '
                    'use fewer filters, a smaller kernel or padding = "same"'
                )
            sides.append((height, width))
        return sides
