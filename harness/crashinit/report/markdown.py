"""Texts of others in Markdown: shown as they are, whatever marks are in them (CommonMark, and GitHub's tables)."""

import re

from crashinit.text.printable import one_line

# Then rows of underscores that are not within a word; an entity; what becomes a link by itself.
MARKS = re.compile(r"[\\`*\[\]<|~$@]|(?<!\w)_+|_++(?![^\W_])|&(?=[#\w])|:(?=//)|(?<=\bwww)\.")
AT_THE_START = re.compile(r"^(\s*)(?:([#>=+-])|(\d+)([.)]))")


def text(said: str) -> str:
    """A text within a line or a cell of a table: no mark in it has an effect, and no line feed ends the line."""
    escaped = MARKS.sub(
        lambda found: "".join(f"\\{mark}" for mark in found[0]), one_line(said, None).replace("\t", " ")
    )
    return AT_THE_START.sub(_escaped, escaped)


def _escaped(found: re.Match[str]) -> str:
    return f"{found[1]}\\{found[2]}" if found[2] else f"{found[1]}{found[3]}\\{found[4]}"


def code(said: str) -> str:
    """A text as a code span: its fence is longer than any row of backticks inside."""
    content = one_line(said, None).replace("\t", " ")
    fence = _fence(content, 1)
    # One blank on each side is no part of the span; a content of nothing would be no span.
    padded = f" {content or ' '} " if fence != "`" or not content.strip() or content.strip() != content else content
    return f"{fence}{padded}{fence}"


def block(command: str) -> str:
    """A command as a fenced block, which stands by itself behind a list too (an indented one would belong to it)."""
    content = one_line(command, None)
    fence = _fence(content, 3)
    return f"{fence}sh\n{content}\n{fence}"


def _fence(content: str, least: int) -> str:
    """More backticks than stand in a row anywhere in the content."""
    return "`" * max(least, max(map(len, re.findall("`+", content)), default=0) + 1)
