"""Texts of others in Markdown, read back by a parser of it."""

import pytest
from crashinit.report.markdown import block, code, text
from crashinit.text.printable import one_line
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
ANY = st.text(st.characters(codec=None, exclude_categories=()) | st.sampled_from("`*_[]()<>&|~#+-=.:/\\!\n \t1@$"))
HOSTILE = [
    "`a",
    "``",
    "a | b",
    "<script>alert(1)</script>",
    "![x](https://evil.example/x.png)",
    "[click](javascript:alert(1))",
    "# heading",
    "1. one",
    "- item\n\n# heading",
    "*bold* _em_ ~~gone~~",
    "&lt;b&gt; &#60;",
    "\\`a\\",
    "\x1b]0;owned\a\u202e",
    "$x$",
]


def inline(source: str) -> tuple[list[Token], list[Token]]:
    """The blocks of a page, and what is within its lines."""
    tokens = PARSER.parse(source)
    return tokens, [child for token in tokens for child in token.children or []]


@given(ANY)
@example("a`b")
@example("snake_case _x_")
@example("__0__")
@example("a__b _a__ ")
def test_a_text_is_read_as_it_was(said: str) -> None:
    """In a paragraph it is one piece of text, and none of its marks has an effect."""
    tokens, children = inline(f"x {text(said)} x")

    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert {child.type for child in children} <= {"text"}
    assert "".join(child.content for child in children) == f"x {one_line(said, None)} x".replace("\t", " ")


@pytest.mark.parametrize("said", HOSTILE)
@pytest.mark.parametrize("before", ["> ", "- ", "- left out: ", "# ", ""])
def test_a_text_begins_nothing_where_a_line_begins(said: str, before: str) -> None:
    """Behind a quote's or a list's mark it is a paragraph, whatever it begins with."""
    tokens, children = inline(before + text(said))
    begun = [token.type for token in tokens if token.nesting == 1]

    assert begun == [token.type for token in inline(f"{before}x")[0] if token.nesting == 1]
    assert {child.type for child in children} <= {"text"}


@given(ANY)
def test_a_text_stays_in_its_cell(said: str) -> None:
    """A row of a table has as many cells as before."""
    tokens, _ = inline(f"| a | b |\n|---|---|\n| {text(said)} | x |\n")

    assert [token.type for token in tokens].count("td_open") == 2
    assert [token.content for token in tokens if token.type == "inline"][-1] == "x"


@given(ANY)
@example("`")
@example(" a`` ")
@example("")
def test_a_span_of_code_ends_where_it_should(said: str) -> None:
    """Backticks in a file's name do not leave the span."""
    _, children = inline(f"- {code(said)} (tree)")

    assert [child.type for child in children] == ["code_inline", "text"]
    assert children[0].content.strip() == one_line(said, None).replace("\t", " ").strip()
    assert children[1].content == " (tree)"


@given(ANY)
@example("```")
def test_a_command_stays_in_its_block(said: str) -> None:
    """Behind a list too, and whatever is in the command, the block holds it and nothing else."""
    tokens, _ = inline(f"- x\n\n{block(said)}\n\nx")
    (fence,) = [token for token in tokens if token.type == "fence"]

    assert fence.content == f"{one_line(said, None)}\n"
    assert [token.type for token in tokens].count("paragraph_open") == 2
    assert fence.level == 0
