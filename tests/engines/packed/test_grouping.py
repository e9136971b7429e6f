"""Which lanes go through a program together: everyone once, nobody with strangers, the longest first."""

import math
import random
from collections import Counter
from typing import Any

import pytest

from sweep.engines.packed.grouping import Group, group_lanes, repeat_first


def draw(seed: int) -> tuple[dict[int, Any], dict[int, float], int]:
    """Lanes with gaps, a few keys, and costs of which some are unknown."""
    chooser = random.Random(seed)
    lanes = chooser.sample(range(100), chooser.randint(1, 60))
    keys = {lane: chooser.choice("abcde") for lane in lanes}
    return keys, {lane: chooser.choice([math.inf, chooser.random()]) for lane in lanes}, 1 << chooser.randint(0, 5)


@pytest.mark.parametrize("seed", range(30))
def test_every_lane_is_in_one_group_of_its_own_key(seed: int) -> None:
    keys, costs, lanes_per_call = draw(seed)
    groups = group_lanes(keys, costs, lanes_per_call)
    assert sorted(lane for group in groups for lane in group.lanes) == sorted(keys)
    assert all(keys[lane] == group.key for group in groups for lane in group.lanes)


@pytest.mark.parametrize("seed", range(30))
def test_no_group_has_more_lanes_than_a_call_has_places(seed: int) -> None:
    keys, costs, lanes_per_call = draw(seed)
    assert all(1 <= len(group.lanes) <= lanes_per_call for group in group_lanes(keys, costs, lanes_per_call))


@pytest.mark.parametrize("seed", range(30))
def test_a_key_has_no_more_groups_than_it_needs(seed: int) -> None:
    keys, costs, lanes_per_call = draw(seed)
    num_groups = Counter(group.key for group in group_lanes(keys, costs, lanes_per_call))
    assert num_groups == {key: -(-number // lanes_per_call) for key, number in Counter(keys.values()).items()}


def test_the_longest_group_starts_first_and_unknown_ones_before_it() -> None:
    keys = {0: "a", 1: "b", 2: "c", 3: "b", 4: "d"}
    groups = group_lanes(keys, {0: 2.0, 1: 1.0, 2: math.inf, 3: 5.0, 4: 0.1}, lanes_per_call=2)
    assert [group.key for group in groups] == ["c", "b", "a", "d"]


def test_the_grouping_depends_on_lanes_and_keys_alone() -> None:
    """Not on the order in which lanes were taken, so that a group stays together from epoch to epoch."""
    keys, costs = {lane: lane % 3 for lane in range(20)}, dict.fromkeys(range(20), 1.0)
    mixed = dict(sorted(keys.items(), key=lambda item: -item[0]))
    assert set(group_lanes(keys, costs, 4)) == set(group_lanes(mixed, costs, 4))


def test_lanes_of_one_call_alone_are_groups_of_one() -> None:
    assert group_lanes({3: "a", 1: "a"}, {1: 1.0, 3: 1.0}, lanes_per_call=1) == [Group("a", (1,)), Group("a", (3,))]
    assert group_lanes({}, {}, lanes_per_call=8) == []


def test_places_that_are_left_are_filled_with_the_first_value() -> None:
    assert repeat_first(["a", "b", "c"], 4) == ["a", "b", "c", "a"]
    assert repeat_first(["a", "b"], 2) == ["a", "b"]
