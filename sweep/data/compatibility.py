"""Whether a part of the data is of the same kind as the images that are trained on: nothing is learned from it."""

from typing import Any

from numpy.typing import NDArray

from sweep.errors import DataError

MAX_FACTOR = 10.0  # between the largest values: 0..1 beside 0..255 is 255
MAX_NEGATIVE = 0.1  # of the largest value, where the others have none below zero


def check_compatible(images: NDArray[Any], others: NDArray[Any], part: str = "test") -> None:
    """Compare shape, kind of number and scale.

    Args:
        images: Of the part (N, H, W, C), as they are in their source.
        others: That are trained on, as they are in theirs.
        part: Its name.

    Raises:
        DataError: A model that was trained on the others would be given something else.

    """
    if images.shape[1:] != others.shape[1:]:
        raise DataError(
            f"{part} images have height, width, channels {images.shape[1:]}, training images {others.shape[1:]}; "
            "use one shape for both"
        )
    if _kind(images) != _kind(others) or not _is_of_scale(images, others):
        raise DataError(f"{part} images are {_kind(images)}, training images {_kind(others)}{_ranges(images, others)}")


def _kind(images: NDArray[Any]) -> str:
    return "floats" if images.dtype.kind == "f" else "integers"


def _is_of_scale(images: NDArray[Any], others: NDArray[Any]) -> bool:
    largest, largest_other = _largest(images), _largest(others)
    is_negative = float(images.min()) < -MAX_NEGATIVE * largest_other and others.min() >= 0
    return not is_negative and largest <= MAX_FACTOR * largest_other and largest_other <= MAX_FACTOR * largest


def _largest(images: NDArray[Any]) -> float:
    return max(float(images.max()), -float(images.min()))


def _ranges(images: NDArray[Any], others: NDArray[Any]) -> str:
    own, other = (f"{one.dtype} from {one.min():g} to {one.max():g}" for one in (images, others))
    return f" ({own}; {other}); store both in one dtype and scale"
