"""Print what `sweep check` shows of the data: parts, classes, ranges and duplicates."""

from pathlib import Path

from sweep.config.data import DataConfig
from sweep.data import Dataset, class_counts, find_duplicates, load_raw_test, save_contact_sheet


def print_data(config: DataConfig, dataset: Dataset) -> None:
    """Print sizes and shape, what models are fed, classes, and images that occur twice.

    The test part is read to find out whether its images occur in the other parts; nothing else of it is shown.

    Raises:
        DataError: The test part cannot be read.
    """
    images, test = dataset.images, load_raw_test(config)
    print(
        f"data: {len(dataset.train)} training, {len(dataset.validation)} validation and {len(test[1])} test images of "
        f"shape {dataset.image_shape}, {images.dtype} from {images.min():g} to {images.max():g}"
    )
    print(f"images reach the model as float32 in {dataset.image_range}")
    print("\n".join([*class_counts(dataset).lines(), *find_duplicates(dataset, test).lines()]))


def write_contact_sheet(dataset: Dataset, path: Path) -> None:
    """Write a picture of some training images, and print its name."""
    save_contact_sheet(dataset, path)
    print(f"training images: {path}")
