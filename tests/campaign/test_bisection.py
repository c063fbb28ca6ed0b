"""Where a failure appears or goes."""

from collections.abc import Sequence
from math import ceil, log2

from crashinit.campaign.bisection import Change, Fails, NoChange, bisect
from hypothesis import given
from hypothesis import strategies as some


def tried(answers: Sequence[Fails]) -> tuple[Change | NoChange, list[int]]:
    asked: list[int] = []

    def fails(version: int) -> Fails:
        asked.append(version)
        return answers[version]

    return bisect(len(answers), fails), asked


@given(some.integers(2, 200), some.data(), some.booleans())
def test_the_change_is_found_in_as_few_tries_as_halves_need(count: int, data: some.DataObject, first: bool) -> None:
    """Whatever the number of versions and the place, no version is tried twice, and the number of tries is that of a
    bisection."""
    at = data.draw(some.integers(1, count - 1))
    result, asked = tried([first] * at + [not first] * (count - at))

    assert isinstance(result, Change)
    assert (result.before, result.after, result.fails_before) == (at - 1, at, first)
    assert len(asked) == len(set(asked)) <= 2 + ceil(log2(count))


@given(some.lists(some.sampled_from([True, False, None]), min_size=1, max_size=12), some.booleans())
def test_unclear_versions_are_stepped_past(middle: list[Fails], first: bool) -> None:
    """What is said of two versions is so, and all between them are unclear."""
    answers: list[Fails] = [first, *middle, not first]
    result, asked = tried(answers)

    assert isinstance(result, Change)
    assert answers[result.before] == first
    assert answers[result.after] == (not first)
    assert all(answers[n] is None for n in range(result.before + 1, result.after))
    assert len(asked) == len(set(asked))


def test_ends_that_answer_alike_end_it() -> None:
    """Without a change between the ends no further version is tried; so where an end is unclear."""
    for answers in ([True, False, True], [False, True, False], [None, True, False], [True, False, None]):
        result, asked = tried([*answers])
        assert result == NoChange(answers[0], answers[-1], {0: answers[0], 2: answers[-1]})
        assert asked == [0, 2]
