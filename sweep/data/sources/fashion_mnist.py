"""Fashion-MNIST: articles of clothing of 28 x 28, from its IDX files, or as Keras downloads it."""

from sweep.data.arrays import Arrays
from sweep.data.idx import idx_arrays
from sweep.data.published import published

CLASS_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def load(path: str | None = None) -> Arrays:
    """60,000 images to train on and 10,000 of the test part. DataError if they are not where they are looked for."""
    return published("fashion_mnist", path, idx_arrays, CLASS_NAMES)
