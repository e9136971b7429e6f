"""A network that the user's own function builds."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sweep.config.model import ModelConfig


class BuilderConfig(ModelConfig):
    """`builder` names the function, which is called with `options`."""

    family: Literal["builder"] = "builder"
    builder: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    """`module:function` that builds a `keras.Model`; it gets `image_shape`, `num_classes` and the options."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the builder."""

    @model_validator(mode="after")
    def _can_be_stored(self) -> Self:
        try:
            json.dumps(self.options, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"options must be JSON values, as they are stored with the study: {error}") from None
        return self

    @property
    def user_code(self) -> str | None:
        """The builder."""
        return self.builder

    def values(self) -> dict[str, Any]:
        """Builder and options."""
        return {"builder": self.builder, "options": self.options}
