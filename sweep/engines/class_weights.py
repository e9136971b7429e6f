"""The weight of each class in the training loss, as Keras's `fit(class_weight=...)` and scikit-learn define it."""

import numpy as np
from numpy.typing import NDArray

from sweep.config.class_weight import BALANCED, weights_by_class
from sweep.config.trial import TrialConfig
from sweep.data import Dataset


def class_weights(config: TrialConfig, dataset: Dataset) -> NDArray[np.float32] | None:
    """Return the weight (num_classes,) of each class, None if all classes count alike.

    "balanced" is scikit-learn's `n_samples / (n_classes * np.bincount(y))` over the classes of the training part. The
    loss of a minibatch is the sum of its images' weighted losses by the number of images, as in Keras; `val_loss` and
    accuracies are not weighted.

    Raises:
        SpaceError: The table of the config names a class that the data does not have.
    """
    chosen = config.training.class_weight
    if chosen is None:
        return None
    if chosen != BALANCED:
        return np.asarray(weights_by_class(chosen, dataset.class_names), np.float32)
    counts = np.bincount(dataset.labels[dataset.train], minlength=dataset.num_classes)
    balanced = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.asarray(balanced, np.float32)
