"""Trials that an earlier process left RUNNING start again in the rounds that let them arrive together."""

from sweep.tuning.resume_plan import Repeat, ResumePlan


def plan(**stored: int) -> ResumePlan:
    made = ResumePlan()
    for number, num_stored in enumerate(stored.values()):
        made.add(Repeat(number, (), num_stored))
    return made


def start(made: ResumePlan, *, is_idle: bool = False) -> list[int]:
    due = [repeat.number for repeat in made.due(is_idle=is_idle)]
    return [number for number in due if made.discard(number)]


def test_the_longest_starts_first_and_all_arrive_in_the_same_round():
    made = plan(a=1, b=3, c=0, d=3)
    rounds = [start(made, is_idle=True)]
    while made.is_repeating:
        made.end_round()
        rounds.append(start(made))
    assert rounds == [[1, 3], [], [0], [2]]
    assert made.numbers == []


def test_where_those_in_training_were_lost_the_next_longest_starts_at_once():
    made = plan(a=9, b=2)
    assert start(made, is_idle=True) == [0]
    made.end_round()
    assert start(made) == []
    assert start(made, is_idle=True) == [1]


def test_a_trial_that_another_program_finished_is_not_repeated():
    made = plan(a=2, b=2)
    assert made.discard(0)
    assert 0 not in made
    assert not made.discard(0)
    assert start(made, is_idle=True) == [1]


def test_nothing_to_repeat_is_no_round():
    made = plan()
    assert made.due(is_idle=True) == []
    assert not made.is_repeating
