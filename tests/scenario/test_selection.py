"""The expression of `-k`."""

import pytest
from crashinit.errors import UsageError
from crashinit.scenario.selection import DEPTH, matcher


@pytest.mark.parametrize(
    ("expression", "selected"),
    [
        ("mkfs", ["steps/mkfs/before/tree", "steps/mkfs/after/process"]),
        ("MKFS and not tree", ["steps/mkfs/after/process"]),
        ("loopback or mkfs and process", ["steps/loopback/before/tree", "steps/mkfs/after/process"]),
        ("(loopback or mkfs) and tree", ["steps/loopback/before/tree", "steps/mkfs/before/tree"]),
        ("not (loopback or after)", ["steps/mkfs/before/tree"]),
        ("not not after", ["steps/mkfs/after/process"]),
        ("mkfs/before", ["steps/mkfs/before/tree"]),
    ],
)
def test_selection(expression: str, selected: list[str]) -> None:
    """-k takes words with and, or, not and brackets; `and` binds closer than `or`."""
    names = ["steps/loopback/before/tree", "steps/mkfs/before/tree", "steps/mkfs/after/process"]

    assert selected == list(filter(matcher(expression), names))


@pytest.mark.parametrize("expression", ["", "  ", "and", "a or", "not", "(a", "a)", "a b", "()", "a and or b"])
def test_a_malformed_selection_is_refused(expression: str) -> None:
    """An expression that cannot be read never selects everything, or nothing, by accident."""
    with pytest.raises(UsageError, match="of '-k' is not well formed"):
        matcher(expression)


@pytest.mark.parametrize("expression", ["not " * 3000 + "x", "(" * 3000 + "x" + ")" * 3000, "not (" * 3000])
def test_an_expression_is_not_nested_without_end(expression: str) -> None:
    """Three thousand words 'not' are one sentence of bounded length."""
    with pytest.raises(UsageError, match=f"'not' and brackets are nested more than {DEPTH} deep") as error:
        matcher(expression)
    assert len(str(error.value)) < 400


def test_a_long_expression_without_nesting_is_taken() -> None:
    """A selection of three thousand trials by name is a long one and not a deep one."""
    selected = matcher(" or ".join(f"trial-{n}-" for n in range(3000)))

    assert selected("trial-2999-")
    assert not selected("trial-3000-")


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [("mkfs", True), ("not mkfs", False), ("not not MKFS and (tree or process)", True), ("mkfs and not tree", False)],
)
def test_words_select_by_what_an_id_contains(expression: str, chosen: bool) -> None:
    """As pytest's -k: 'and', 'or', 'not', brackets, in either case."""
    assert matcher(expression)("steps/mkfs/before/tree") is chosen
