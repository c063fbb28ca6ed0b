"""The expression of `-k`."""

import pytest
from crashinit.errors import UsageError
from crashinit.selection import DEPTH, matcher


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
