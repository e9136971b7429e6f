"""Which lanes go through a program together. Pure Python.

A **group** is up to `largest` lanes of one key (structure and data). Programs are compiled for group sizes that are
powers of two, so that lanes that end or arrive do not bring new sizes for ever: a group of 5 runs in a program for 8,
its first lane filling the places that are left.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Group:
    """Lanes of one call; `size` places, of which the first `len(lanes)` are theirs."""

    key: Hashable
    lanes: tuple[int, ...]
    size: int


def group_lanes(keys: Mapping[int, Hashable], costs: Mapping[int, float], largest: int) -> list[Group]:
    """Groups of the lanes of `keys`, the longest first by the seconds in `costs`, so that no long one starts last.

    >>> group_lanes({0: "a", 1: "b", 2: "a", 3: "a"}, {0: 1, 1: 9, 2: 1, 3: 1}, largest=2)
    [Group(key='b', lanes=(1,), size=1), Group(key='a', lanes=(0, 2), size=2), Group(key='a', lanes=(3,), size=1)]
    """
    by_key: dict[Hashable, list[int]] = {}
    for lane in sorted(keys):
        by_key.setdefault(keys[lane], []).append(lane)
    groups = [
        Group(key, tuple(lanes[start : start + largest]), places(len(lanes[start : start + largest]), largest))
        for key, lanes in by_key.items()
        for start in range(0, len(lanes), largest)
    ]
    return sorted(groups, key=lambda group: -max(costs[lane] for lane in group.lanes))


def places(num_lanes: int, largest: int) -> int:
    """The power of two that holds `num_lanes`, but not more than `largest`."""
    return min(1 << (num_lanes - 1).bit_length(), largest)


def fill(values: Sequence[Value], size: int) -> list[Value]:
    """The values, the first one repeated up to `size`."""
    return [*values, *[values[0]] * (size - len(values))]
