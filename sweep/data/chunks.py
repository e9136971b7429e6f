"""Rows of a large array a few megabytes at a time, so that what is computed of them takes no second copy of it."""

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray

CHUNK_BYTES = 2**22


def chunks(array: NDArray[Any]) -> Iterator[slice]:
    """Slices of the first axis that cover it in order, each of about `CHUNK_BYTES` of the array.

    >>> [*chunks(np.zeros((3, 2**19)))]
    [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None)]
    """
    row_bytes = array.nbytes // max(1, len(array))
    size = max(1, CHUNK_BYTES // max(1, row_bytes))
    return (slice(start, min(start + size, len(array))) for start in range(0, len(array), size))


def keep_rows(array: NDArray[Any], rows: NDArray[Any]) -> NDArray[Any]:
    """`array[rows]` for ascending rows, in the array's own memory if it may be written; its contents are then lost."""
    if not array.flags.writeable:
        return array[rows]  # type: ignore[no-any-return]
    kept = array[: len(rows)]
    for chunk in chunks(kept):
        kept[chunk] = array[rows[chunk]]  # reads at or after where it writes
    return kept
