"""Numbers with their nouns, and names that are too long."""

import pytest
from crashinit.report.words import listed, many, middle_cut


def test_a_noun_agrees_with_its_number() -> None:
    """One trial, any other number of trials; a noun with a plural of its own, or with its verb, has both given."""
    assert [many(count, "trial") for count in range(3)] == ["0 trials", "1 trial", "2 trials"]
    assert [many(count, "entry is", "entries are") for count in (1, 2)] == ["1 entry is", "2 entries are"]


@pytest.mark.parametrize("width", [0, 1, 2, 10, 19, 20, 80])
def test_a_cut_keeps_the_width_and_the_end(width: int) -> None:
    """What is cut is never wider than asked for, and ends as the name does."""
    name = "steps/mkfs/before/op"
    cut = middle_cut(name, width)

    assert len(cut) == min(width, len(name))
    assert name.endswith(cut.rpartition("…")[2])


@pytest.mark.parametrize(
    ("numbers", "said"), [([], ""), ([3], "3"), ([2, 1], "1, 2"), ([7, 1, 5, 6, 9, 10], "1, 5 to 7, 9, 10")]
)
def test_numbers_in_a_row_are_a_range(numbers: list[int], said: str) -> None:
    """Twenty seeds are a few characters, whatever order they were tried in."""
    assert listed(numbers) == said
