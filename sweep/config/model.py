"""`[model]`: the network. Its keys are those of its family, which `sweep.config.families` finds by name.

A family's config is a subclass of `ModelConfig`. Those of ours lie in `sweep/models/<family>/`; one of the user's is
named as `family = "my_models:FAMILY"`. A `builder` is a family without a name, with `options` for keys.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from sweep.config.section import Section
from sweep.plugins.registry import Registry

ImageShape = tuple[int, int, int]  # height, width, channels
FAMILIES: Registry[Any] = Registry(
    "model family",
    "model.family",
    "sweep.families",
    {"cnn": "sweep.models.cnn:FAMILY", "mlp": "sweep.models.mlp:FAMILY"},
    is_function=False,
)
DEFAULT_FAMILY = "cnn"
OF_BUILDERS = "builder"  # what a config with a `builder` has for its family; not written in files


class ModelConfig(Section):
    """What networks of all families have in common; a family adds its keys, with their defaults.

    Attributes:
        family: The name by which it was found.
        uses_regularizer: Whether `[regularizer]` has an effect.
        may_give_logits: Whether `training.from_logits` may be true.
        old_keys: Earlier spellings of keys, which are still read, with the current ones.
        shape_keys: Keys that decide whether the network fits the images; all combinations of them are tried.
    """

    family: str

    uses_regularizer: ClassVar[bool] = False
    may_give_logits: ClassVar[bool] = True
    old_keys: ClassVar[Mapping[str, str]] = {}
    shape_keys: ClassVar[tuple[str, ...]] = ()

    @property
    def user_code(self) -> str | None:
        """`module:attribute` of code that is not ours and builds the network; None for families of ours."""
        return FAMILIES.code_of(self.family)

    @property
    def lane_widths(self) -> tuple[int, ...]:
        """Sizes of the layers in which lanes of one program may differ; none for a family without a lane kernel."""
        return ()

    @property
    def lane_dropouts(self) -> tuple[float, ...]:
        """The rate of the dropout after each of `lane_widths`; 0 where there is none."""
        return ()

    def check_images(self, image_shape: ImageShape) -> None:
        """SpaceError if the network cannot take such images."""

    def values(self) -> dict[str, Any]:
        """Plain values (JSON and TOML kinds) of every key that has an effect, without None."""
        return self.model_dump(mode="json", exclude_none=True)
