"""Strings of others, made safe for a terminal."""

import pickle

import pytest
from crashinit.errors import CrashinitError, MachineError, UsageError
from crashinit.report.results import RunRecord
from crashinit.text.printable import LIMIT, all_on_one_line, one_line, printable
from hypothesis import given
from hypothesis import strategies as st

from ..report.events import results

ANY = st.text(st.characters(codec=None, exclude_categories=()))


@given(ANY)
def test_what_is_printed_is_printable(text: str) -> None:
    """Nothing is left but printable characters, line feeds and tabs, and every encoder of UTF-8 takes it."""
    said = printable(text)

    assert all(char.isprintable() or char in "\n\t" for char in said)
    said.encode("utf-8")


@given(ANY)
def test_making_printable_twice_changes_nothing(text: str) -> None:
    """A text that passed through already is left as it is."""
    assert printable(printable(text, None), None) == printable(text, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("\x1b]52;c;YQ==\a", "\\x1b]52;c;YQ==\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("a\rb", "a\\rb"),
        ("\u202egnp", "\\u202egnp"),
        ("\u2066\u200b", "\\u2066\\u200b"),
        (".tmp\udce9", ".tmp\\udce9"),
        ("\U000e0001", "\\U000e0001"),
        ("caf\xe9 \u2713", "caf\xe9 \u2713"),
    ],
)
def test_what_is_not_printable_is_shown(text: str, said: str) -> None:
    """Escape sequences, overrides of the direction, invisible characters and parts of bytes become visible."""
    assert said == printable(text)


def test_a_long_text_says_what_was_left_out() -> None:
    """A line of a megabyte keeps its beginning and its end, and the number of characters between them."""
    said = printable("a" * 1_000_000 + "the end")

    assert len(said) < LIMIT + 100
    assert said.startswith("aaa")
    assert said.endswith("the end")
    assert "characters left out" in said


def test_a_line_feed_begins_no_line_where_it_must_not() -> None:
    """An id with a line feed in it cannot pass for a line of the harness."""
    assert one_line("x\n146 of 146 converged") == "x\\n146 of 146 converged"


def test_every_string_of_a_value_is_made_printable() -> None:
    """Dataclasses, lists and dicts are gone through, keys included; numbers and None stay what they are."""
    result = results()[0]
    clauses = {"C\x1b": "fail"}
    run = RunRecord("\x1b", "", "", "", ["\x1b"], [], [], clauses, None, False, [result])

    safe = all_on_one_line(run)

    assert (safe.driver, safe.planned, safe.clause_names) == ("\\x1b", ["\\x1b"], {"C\\x1b": "fail"})
    assert safe.results == [result]
    assert safe.seconds is None


def test_an_error_is_printable_wherever_it_is_shown() -> None:
    """An error may quote a guest's console; its text is safe for whoever prints it, in another process too."""
    for error in (MachineError("\x1b]0;owned\a"), UsageError("\x1b]0;owned\a")):
        for same in (error, pickle.loads(pickle.dumps(error))):
            assert isinstance(same, CrashinitError)
            assert str(same) == f"{same}" == "\\x1b]0;owned\\x07"


def test_an_error_is_no_longer_than_a_page() -> None:
    """A guest that printed a gigabyte without a line feed does not fill the terminal with its error."""
    assert len(str(MachineError("x" * (1 << 20)))) < LIMIT + 100
