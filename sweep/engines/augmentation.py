"""Random changes of the training images, by Keras's layers, and weights of their classes, inside the compiled step.

What a layer draws depends on (seed, epoch, step) alone: a layer's seed state is replaced in each step by one that
`step_seeds` made, so that a repeated or resumed run sees the same images. The strengths are those of
`[augmentation]`. Shape suffixes: B minibatch, H height, W width, C channels, Y classes, S steps, L layers.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sweep.config.augmentation import AugmentationConfig
from sweep.config.trial import TrialConfig
from sweep.data import Dataset
from sweep.engines.class_weights import class_weights
from sweep.engines.losses import takes_one_hot
from sweep.errors import ModelError

STREAM = 0xA06  # keeps the seeds of images apart from those of the minibatch order
Tensor = Any


class Augmentation:
    """Changes minibatches of one config; it draws nothing by itself."""

    def __init__(
        self,
        config: AugmentationConfig,
        num_classes: int,
        value_range: tuple[float, float],
        class_weights: NDArray[np.float32] | None = None,
        one_hot: bool = False,
    ) -> None:
        """Create the layers.

        Args:
            config: What to change, and how much.
            num_classes: Y; labels that are mixed are one-hot vectors of this length.
            value_range: Smallest and largest pixel value of the scaled images.
            class_weights: Of each class (Y,) in the loss; None if all count alike.
            one_hot: Whether the loss takes one-hot labels although none are mixed.

        """
        self._layers = [*_layers(config, value_range)]
        self._num_classes, self._one_hot = num_classes, one_hot or config.mixes_labels
        self._class_weights = class_weights

    def step_seeds(self, seed: int, epoch: int, num_steps: int) -> NDArray[np.int32]:
        """Return the seeds (S, L, 2) of each step and layer of epoch 1, 2, ..."""
        shape = (num_steps, len(self._layers), 2)
        return np.random.default_rng([seed, epoch, STREAM]).integers(0, 2**31 - 1, shape, dtype=np.int32)

    def encode(self, labels_B: Tensor) -> Tensor:
        """Return labels as the loss takes them: one-hot (B, Y), or unchanged."""
        return keras.ops.one_hot(labels_B, self._num_classes) if self._one_hot else labels_B

    def __call__(self, images_BHWC: Tensor, labels_B: Tensor, seeds_L2: Tensor) -> tuple[Tensor, ...]:
        """Return what Keras's `train_step` takes: changed images, encoded labels and the images' weights, if any.

        The same seeds give the same changes.
        """
        images, labels = self._changed(images_BHWC, labels_B, seeds_L2)
        if self._class_weights is None:
            return images, labels
        if self._one_hot:  # an image whose labels are mixed has a share of each class's weight
            return images, labels, keras.ops.sum(labels * self._class_weights, axis=-1)
        return images, labels, keras.ops.take(keras.ops.convert_to_tensor(self._class_weights), labels)

    def _changed(self, images_BHWC: Tensor, labels_B: Tensor, seeds_L2: Tensor) -> tuple[Tensor, Tensor]:
        if not self._layers:
            return images_BHWC, self.encode(labels_B)
        batch = {"images": images_BHWC, "labels": self.encode(labels_B)}
        states = [layer.generator.state for layer in self._layers]
        drawn = [(state, keras.ops.cast(seeds_L2[index], state.dtype)) for index, state in enumerate(states)]
        with keras.StatelessScope(state_mapping=drawn), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Explicitly requested dtype int64", UserWarning)  # MixUp on JAX
            for layer in self._layers:
                batch = layer(batch, training=True)
        return batch["images"], batch["labels"]


def augmentation_of(config: TrialConfig, dataset: Dataset, one_hot: bool | None = None) -> Augmentation:
    """Return the augmentation of a config; without layers if all of `[augmentation]` is off.

    Args:
        config: The config.
        dataset: Its dataset.
        one_hot: Whether the loss takes one-hot labels. Default: as that of the config.

    Raises:
        ModelError: Labels are mixed, but the loss takes class numbers.

    """
    if one_hot is False and config.augmentation.mixes_labels:
        raise ModelError("augmentation.mixup and cutmix need a loss of one-hot labels; compile the model with one")
    ends = dataset.value_range if config.augmentation.needs_value_range else (0.0, 1.0)
    return Augmentation(
        config.augmentation,
        dataset.num_classes,
        ends,
        class_weights(config, dataset),
        one_hot=takes_one_hot(config) if one_hot is None else one_hot,
    )


def _layers(config: AugmentationConfig, value_range: tuple[float, float]) -> Iterator[Any]:
    """Yield the layers that change something, geometry first."""
    layers, fill = keras.layers, {"fill_mode": config.fill_mode}
    if config.flip:
        yield layers.RandomFlip(config.flip, seed=0)
    if config.translation:
        yield layers.RandomTranslation(config.translation, config.translation, **fill, seed=0)
    if config.rotation:
        yield layers.RandomRotation(config.rotation, **fill, seed=0)
    if config.zoom:
        yield layers.RandomZoom(config.zoom, **fill, seed=0)
    if config.shear:
        yield layers.RandomShear(config.shear, config.shear, **fill, seed=0)
    if config.contrast:
        yield layers.RandomContrast(config.contrast, value_range=value_range, seed=0)
    if config.brightness:
        yield layers.RandomBrightness(config.brightness, value_range=value_range, seed=0)
    if config.erasing:
        yield layers.RandomErasing((config.erasing, config.erasing), value_range=value_range, seed=0)
    if config.mixup:
        yield layers.MixUp(config.mixup, seed=0)
    if config.cutmix:
        yield layers.CutMix(config.cutmix, seed=0)
