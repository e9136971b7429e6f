"""Where JAX lanes live between epochs: rows of stacked arrays, which a program takes and gives back in place.

A lane stays in its row as long as it trains with the same others. What is stacked is never taken apart: a newcomer is
written into a row that is free.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sweep.engines.packed.grouping import repeat_first
from sweep.engines.packed.start import LaneArrays


@dataclass(eq=False)
class Stack:
    """Arrays with a first axis of rows, and whose they are; a row of None is free, its values are of no lane."""

    arrays: Any  # LaneArrays
    lanes: list["JaxLane | None"]


@dataclass(eq=False)
class JaxLane:
    """A lane's arrays, its own while it is in no stack; neither after a call that failed."""

    arrays: Any = None  # LaneArrays
    stack: Stack | None = None
    row: int = 0

    @property
    def is_lost(self) -> bool:
        """Whether a call that failed has taken its arrays."""
        return self.arrays is None and self.stack is None

    def read(self) -> Any:
        """The lane's arrays, which no program takes."""
        return self.arrays if self.stack is None else _row_of(self.stack.arrays, self.row)

    def write(self, weights: Any, statistics: Any) -> None:
        """Replace these."""
        if self.stack is None and self.arrays is not None:
            self.arrays = self.arrays._replace(weights=weights, statistics=statistics)
        elif self.stack is not None:
            old = (self.stack.arrays.weights, self.stack.arrays.statistics)
            weights, statistics = _with_row(old, self.row, (weights, statistics))
            self.stack.arrays = self.stack.arrays._replace(weights=weights, statistics=statistics)

    def leave(self) -> None:
        """Keep the arrays, free the row."""
        if self.stack is not None:
            self.arrays = self.read()
            self.stack.lanes[self.row] = None
            self.stack = None

    def lose(self) -> None:
        """Free the row and forget the arrays."""
        if self.stack is not None:
            self.stack.lanes[self.row] = None
        self.arrays = self.stack = None


@dataclass
class Stacks:
    """The stacks of one program."""

    stacks: list[Stack] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)  # groups train at a time, each with a stack of its own

    def gather(self, lanes: Sequence[JaxLane], num_rows: int) -> Stack:
        """A stack of these lanes and no others, with so many rows."""
        with self.lock:
            self.stacks = [stack for stack in self.stacks if any(stack.lanes)]
            stack = self._closest(lanes, num_rows)
            if stack is None:
                return self._make(lanes, num_rows)
            for lane in {*filter(None, stack.lanes)}.difference(lanes):
                lane.leave()
            for lane in lanes:
                if lane.stack is not stack:
                    _put(lane, stack)
            return stack

    def _closest(self, lanes: Sequence[JaxLane], num_rows: int) -> Stack | None:
        """The one that holds the most of them."""
        stacks = [lane.stack for lane in lanes if lane.stack is not None and len(lane.stack.lanes) == num_rows]
        return max(stacks, key=stacks.count, default=None)

    def _make(self, lanes: Sequence[JaxLane], num_rows: int) -> Stack:
        for lane in lanes:
            lane.leave()
        given = [lane.arrays for lane in repeat_first(lanes, num_rows)]
        # copies: what a program takes must be no one's NumPy array
        stack = Stack(jax.tree.map(lambda *values: jnp.array(np.stack(values)), *given), [None] * num_rows)
        for row, lane in enumerate(lanes):
            _settle(lane, stack, row)
        self.stacks.append(stack)
        return stack


def in_row_order(stack: Stack, lanes: Sequence[JaxLane], values: Sequence[Any]) -> list[Any]:
    """A value of each lane in the order of rows; free rows have the first lane's."""
    ordered = [values[0]] * len(stack.lanes)
    for lane, value in zip(lanes, values, strict=True):
        ordered[lane.row] = value
    return ordered


def _put(lane: JaxLane, stack: Stack) -> None:
    lane.leave()
    row = stack.lanes.index(None)
    stack.arrays = _with_row(stack.arrays, row, lane.arrays)
    _settle(lane, stack, row)


def _settle(lane: JaxLane, stack: Stack, row: int) -> None:
    stack.lanes[row] = lane
    lane.stack, lane.row, lane.arrays = stack, row, None


def _get_row(stacked: LaneArrays, row: Any) -> LaneArrays:
    return jax.tree.map(lambda values: values[row], stacked)  # type: ignore[no-any-return]


def _set_row(stacked: Any, row: Any, given: Any) -> Any:
    return jax.tree.map(lambda values, new: values.at[row].set(new), stacked, given)


_row_of = jax.jit(_get_row)
_with_row = jax.jit(_set_row, donate_argnums=0)
