"""How training images are varied: `[augmentation]`."""

from typing import Annotated, Literal

from pydantic import Field

from sweep.config.section import Rate, Section

Share = Annotated[float, Field(ge=0, le=1)]


class AugmentationConfig(Section):
    """Random changes of the training images, drawn for each image and epoch; all are off by default.

    Each is the Keras layer of that name, in this order. Validation and test images are never changed.
    """

    flip: Literal["horizontal", "vertical", "horizontal_and_vertical"] | None = None
    """Mirror images at random, by `RandomFlip`. Default: off."""
    translation: Share = 0.0
    """Largest shift, as a fraction of height and of width, by `RandomTranslation`."""
    rotation: Share = 0.0
    """Largest rotation both ways, as a fraction of a full turn (0.05 is 18 degrees), by `RandomRotation`."""
    zoom: Rate = 0.0
    """Largest zoom in and out, as a fraction of the size, by `RandomZoom`."""
    shear: Share = 0.0
    """Largest shear, as a fraction of the size, by `RandomShear`."""
    contrast: Rate = 0.0
    """Largest change of the contrast, as a fraction of it, by `RandomContrast`."""
    brightness: Share = 0.0
    """Largest change of the brightness, as a fraction of the range of pixel values, by `RandomBrightness`."""
    erasing: Share = 0.0
    """Probability that a rectangle of an image is replaced by noise, by `RandomErasing`."""
    mixup: Share = 0.0
    """Blend pairs of images and their labels; `alpha` of `MixUp`."""
    cutmix: Share = 0.0
    """Paste rectangles of other images and mix the labels; `factor` of `CutMix`."""
    fill_mode: Literal["reflect", "constant", "nearest", "wrap"] = "reflect"
    """What fills the pixels that shifts, rotations, zooms and shears leave empty."""

    @property
    def is_on(self) -> bool:
        """Whether images are changed."""
        return any(getattr(self, name) for name in type(self).model_fields if name != "fill_mode")

    @property
    def mixes_labels(self) -> bool:
        """Whether an image may have parts of several classes."""
        return bool(self.mixup or self.cutmix)

    @property
    def needs_value_range(self) -> bool:
        """Whether a change depends on the smallest and largest pixel value."""
        return bool(self.contrast or self.brightness or self.erasing)
