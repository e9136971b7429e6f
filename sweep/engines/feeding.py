"""Where the minibatches of a run come from: images on the device, or a mapped file of which a call gets its part."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.engines.placed import Arrays, Placed

STREAMED_BYTES = 2**27  # of images that are on the device for a call, where not all are
Call = tuple[Any, Any, int, int]  # what `source` made, rows of its images by step, first step, step behind the last


class Feed:
    """Divides the steps of an epoch into calls of a compiled program."""

    def __init__(
        self, placed: Placed, put: Callable[[NDArray[Any]], Any], source: Callable[[Arrays, np.float32], Any]
    ) -> None:
        """Create a feed of a placed dataset; `put` and `source` are those of the backend."""
        self._placed, self._put, self._source = placed, put, source
        self._all = None if placed.is_streamed else source(placed.arrays, placed.divisor)

    def calls(self, rows: NDArray[np.int32], size: int, images_per_call: int) -> Iterator[Call]:
        """Return the calls that visit these rows in their order.

        Args:
            rows: Of the dataset's images (N,).
            size: Images of a minibatch.
            images_per_call: About as many images are visited by a call.
        """
        if self._all is None:
            images_per_call = min(images_per_call, STREAMED_BYTES // self._placed.bytes_per_image)
        num_steps, steps_per_call = -(-len(rows) // size), max(1, images_per_call // size)
        spans = [(start, min(start + steps_per_call, num_steps)) for start in range(0, num_steps, steps_per_call)]
        if self._all is None:
            yield from self._streamed(rows, size, spans)
        else:
            given = self._put(rows)
            yield from ((self._all, given, *span) for span in spans)

    def _streamed(self, rows: NDArray[np.int32], size: int, spans: list[tuple[int, int]]) -> Iterator[Call]:
        """The images of the next call are read while one runs. All calls get as many, so that nothing is retraced."""
        if not spans:
            return
        num_images = min(len(rows), (spans[0][1] - spans[0][0]) * size)
        with ThreadPoolExecutor(1) as reader:
            parts = [np.resize(rows[start * size : stop * size], num_images) for start, stop in spans]
            following = reader.submit(self._placed.part, parts[0])
            for number, (start, stop) in enumerate(spans):
                images, labels = following.result()
                if number + 1 < len(spans):
                    following = reader.submit(self._placed.part, parts[number + 1])
                arrays = Arrays(self._put(images), self._put(labels))
                local = np.arange(len(rows), dtype=np.int32) - np.int32(start * size)
                yield self._source(arrays, self._placed.divisor), self._put(local), start, stop
