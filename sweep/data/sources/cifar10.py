"""CIFAR-10: photographs of 32 x 32 in ten classes, as published, or as Keras downloads it."""

from functools import partial

from sweep.data.arrays import Arrays
from sweep.data.cifar import Form, cifar_arrays, parse_binary, parse_pickle
from sweep.data.published import published

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
FORMS = (
    Form("cifar-10-python.tar.gz", "cifar-10-batches-py", BATCHES, ("test_batch",), partial(parse_pickle, b"labels")),
    Form(
        "cifar-10-binary.tar.gz",
        "cifar-10-batches-bin",
        tuple(f"{name}.bin" for name in BATCHES),
        ("test_batch.bin",),
        partial(parse_binary, 1),
    ),
)


def load(path: str | None = None) -> Arrays:
    """50,000 images to train on and 10,000 of the test part. DataError if they are not where they are looked for."""
    return published("cifar10", path, partial(cifar_arrays, forms=FORMS), CLASS_NAMES)
