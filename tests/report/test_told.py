"""The story of a trial in the lines of a terminal."""

from itertools import pairwise

from crashinit.report.told import told

from .test_story import WEDGE, published


def test_the_parts_come_in_the_order_of_time() -> None:
    """What init did, what the next one did, expected against found, what is left, and how to see it again."""
    lines = list(told(*published(WEDGE)))
    headings = [line for before, line in pairwise(lines) if not before]

    assert headings == [
        "What init did, and where it was struck",
        "What inits 1 to 3 of 3 after it did",
        "Expected against found",
        "What is left",
        "36 differences to the state after a healthy init",
        "The kernel's log",
        "See it again",
    ]
    assert lines[0] == f"{WEDGE}: diverged"
    (struck,) = [line for line in lines if line.startswith("    >")]
    assert "22    3.572 s  dm.table-load pool#1" in struck


def test_what_is_cut_says_so_and_can_be_had() -> None:
    """Long lists are cut with a word on how to see the rest; 'whole' cuts nothing."""
    short, whole = list(told(*published(WEDGE))), list(told(*published(WEDGE), whole=True))

    assert "    (13 lines before: '--all' prints them)" in short
    assert "    and 24 more: '--all' prints them" in short
    assert not [line for line in whole if "--all" in line]
    assert len([line for line in whole if ": healthy " in line]) == 36
