"""Which lanes go through a program together. Pure Python.

A **group** is the lanes of one call, all of one key (structure and data). Every call has the same number of places;
those that are left hold the group's first lane once more. So a lane goes through the same program, and comes out with
the same bits, whoever trains beside it, also after a resume, when lanes meet in other groups.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Group:
    """Lanes of one call."""

    key: Hashable
    lanes: tuple[int, ...]


def group_lanes(keys: Mapping[int, Hashable], costs: Mapping[int, float], lanes_per_call: int) -> list[Group]:
    """Groups of the lanes of `keys`, the longest first by the seconds in `costs`, so that no long one starts last.

    >>> group_lanes({0: "a", 1: "b", 2: "a", 3: "a"}, {0: 1, 1: 9, 2: 1, 3: 1}, lanes_per_call=2)
    [Group(key='b', lanes=(1,)), Group(key='a', lanes=(0, 2)), Group(key='a', lanes=(3,))]
    """
    by_key: dict[Hashable, list[int]] = {}
    for lane in sorted(keys):
        by_key.setdefault(keys[lane], []).append(lane)
    groups = [
        Group(key, tuple(lanes[start : start + lanes_per_call]))
        for key, lanes in by_key.items()
        for start in range(0, len(lanes), lanes_per_call)
    ]
    return sorted(groups, key=lambda group: -max(costs[lane] for lane in group.lanes))


def repeat_first(values: Sequence[Value], lanes_per_call: int) -> list[Value]:
    """The values, the first one repeated up to `lanes_per_call`."""
    return [*values, *[values[0]] * (lanes_per_call - len(values))]
