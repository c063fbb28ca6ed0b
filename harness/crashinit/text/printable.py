"""Strings that others wrote, made safe for a terminal.

A guest's output, a scenario, an adapter and a stored run may hold escape sequences (which set titles and clipboards,
or paint over a verdict), bidirectional overrides (which show a text in another order than it has), and parts of bytes
that are no UTF-8. All of these are shown as what they are, `\\x1b`, `\\u202e`, `\\udce9`. Whatever is printed passes
through here; what is stored stays as it was.
"""

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

LIMIT = 4000  # characters of one text
KEPT = "\n\t"  # what str.isprintable() refuses, but a text needs

T = TypeVar("T")


def printable(text: str, limit: int | None = LIMIT) -> str:
    """The text with all that is not printable written as an escape; line feeds and tabs stay.

    A text of more than `limit` characters loses its middle, and says how much that was; None: it stays whole.
    """
    if limit is not None and len(text) > limit:
        front, back = limit * 2 // 3, limit // 3
        text = f"{text[:front]} ... ({len(text) - front - back} characters left out) ... {text[-back:]}"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in KEPT else escaped(char) for char in text)


def one_line(text: str, limit: int | None = LIMIT) -> str:
    """The same where a line feed would let a text pass for a further line: it becomes `\\n`."""
    return printable(text, limit).replace("\n", "\\n")


def escaped(char: str) -> str:
    """One character as Python writes it: `\\x1b`, `\\u202e`."""
    return char.encode("unicode_escape").decode("ascii")


def all_on_one_line(value: T) -> T:
    """A value of strings, lists, dicts and dataclasses, each string in it on one line and printable."""
    return _each(value)  # type: ignore[no-any-return]


def _each(value: Any) -> Any:
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, list | tuple):
        return type(value)(map(_each, value))
    if isinstance(value, dict):
        return {_each(key): _each(part) for key, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _each(getattr(value, field.name)) for field in fields(value)})
    return value
