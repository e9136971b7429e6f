"""CIFAR-100: photographs of 32 x 32 in a hundred classes, as published, or as Keras downloads it."""

from functools import partial

from sweep.data.arrays import Arrays
from sweep.data.cifar import Form, cifar_arrays, parse_binary, parse_pickle
from sweep.data.published import published

NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
CLASS_NAMES = tuple(NAMES.split())
FORMS = (
    Form("cifar-100-python.tar.gz", "cifar-100-python", ("train",), ("test",), partial(parse_pickle, b"fine_labels")),
    Form("cifar-100-binary.tar.gz", "cifar-100-binary", ("train.bin",), ("test.bin",), partial(parse_binary, 2)),
)


def load(path: str | None = None) -> Arrays:
    """50,000 images to train on and 10,000 of the test part. DataError if they are not where they are looked for."""
    return published("cifar100", path, partial(cifar_arrays, forms=FORMS), CLASS_NAMES)
