"""Transfer learning in two phases: `[fine_tuning]`."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from sweep.config.section import Positive, Section

LayerNames = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
]


class FineTuningConfig(Section):
    """Freeze layers of a builder's model, for example a pretrained backbone, for all epochs or the first ones.

    When frozen layers start to train, the optimizer starts again with a lower learning rate, and the schedule covers
    the remaining epochs.
    """

    freeze: LayerNames = ()
    """Names of layers or nested models whose weights are frozen; `*` stands for any characters."""
    frozen_epochs: Positive | None = None
    """Epochs after which these layers train too. Default: never."""
    learning_rate_factor: Annotated[float, Field(gt=0)] = 0.1
    """Factor of the initial learning rate once the layers train."""

    @property
    def is_on(self) -> bool:
        """Whether layers are frozen."""
        return bool(self.freeze)

    @model_validator(mode="after")
    def _keys_have_an_effect(self) -> Self:
        if self.frozen_epochs is not None and not self.freeze:
            raise ValueError("frozen_epochs has no effect without freeze; name the layers to freeze")
        return self
