"""Networks that the user's own function builds. Nothing is known of their size, and they have no lane kernel."""

from typing import Any

from sweep.config.model import ImageShape
from sweep.config.training import RegularizerConfig
from sweep.models.builder.config import BuilderConfig
from sweep.models.family import Family


def _build(model: BuilderConfig, _: RegularizerConfig, image_shape: ImageShape, num_classes: int) -> Any:
    from sweep.plugins.user_code import BUILDER, import_code

    build = import_code(str(model.builder), BUILDER)
    return build(image_shape=image_shape, num_classes=num_classes, **model.options)


FAMILY = Family(config=BuilderConfig, build=_build)
