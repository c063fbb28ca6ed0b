"""What a machine's programs may tell a person's terminal."""

import re

import pytest
from crashinit.text.screen import Screen
from hypothesis import example, given
from hypothesis import strategies as st

PIECES = [
    b"\x1b", b"[", b"]", b"P", b"?", b">", b"52;c;", b"1049", b"6n", b"c", b"h", b"l", b"t", b"\\", b"\a", b"(", b"B",
    b"\xc2\x9d", b"\x9b", b"\xe2\x94", b"\x80", b"text", b"\n",
]  # fmt: skip


@pytest.mark.parametrize(
    "told",
    [
        b"plain \xe2\x94\x80 text\r\n\t\b\a",
        b"\x1b[31;1mred\x1b[0m",
        b"\x1b[2J\x1b[H\x1b[10;20H\x1b[K",
        b"\x1b[?1049h\x1b[?25l\x1b[?2004h",
        b"\x1b(0\x0eqqq\x0f\x1b(B\x1b7\x1b8\x1b=\x1b>",
        b"\x1b[1;24r\x1bM\x1b[2 q\x1b[!p",
    ],
)
def test_what_draws_passes(told: bytes) -> None:
    """Cursor, colours, modes and sets of characters reach the terminal as they are."""
    assert Screen().passed(told) == told


@pytest.mark.parametrize(
    "told",
    [
        b"\x1b]0;a title\x07",
        b"\x1b]52;c;Y2xpcGJvYXJk\x1b\\",
        b"\x1b]8;;http://a/\x1b\\",
        b'\x1bP$q"p\x1b\\',
        b"\x1b_an application\x1b\\",
        b"\x1bka title of screen\x1b\\",
        b"\x1b[6n",
        b"\x1b[c",
        b"\x1b[>c",
        b"\x1b[?6n",
        b"\x1b[21t",
        b"\x1b[?12$p",
        b"\x1b[>q",
        b"\x1b[5i",
        b"\x1b[?u",
        b"\x1bZ",
        b"\x05",
        b"\xc2\x9b6n",
        b"\xc2\x9d0;title\x07",
        "\u202e".encode(),
    ],
)
def test_what_speaks_to_the_terminal_itself_does_not(told: bytes) -> None:
    """Titles, clipboard, links, printer and questions are left out, and what stands around them is not."""
    passed = Screen().passed(b"before " + told + b" after")

    assert re.fullmatch(rb"before [6n0;title\a]* after", passed)
    assert b"\x1b" not in passed


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=30))
@example([b"\xc2", b"\x9d", b"0;"])
def test_pieces_make_no_difference(pieces: list[bytes]) -> None:
    """Wherever the line cuts a sequence or a character, the terminal is told the same, and never a question."""
    screen, whole = Screen(), Screen()
    told = b"".join(map(screen.passed, pieces))

    assert told == whole.passed(b"".join(pieces))
    assert screen.ended() == whole.ended()
    assert not re.search(rb"\x1b\[[<=>?]?[0-9:;]*[ -/]*[cnti]|\x1b[]PX^_kZ]|\xc2[\x80-\x9f]", told)


def test_what_was_switched_on_is_switched_off() -> None:
    """At the end the terminal shows its own screen, cursor and plain letters again; if it does, it is told nothing."""
    screen = Screen()
    screen.passed(b"\x1b[?1049;1h\x1b[?25l\x1b[?2004h\x1b[?2004l\x1b[1m")
    back = screen.ended()

    assert b"\x1b[0m" in back
    assert set(re.findall(rb"\x1b\[\?\d+[hl]", back)) == {b"\x1b[?1049l", b"\x1b[?1l", b"\x1b[?25h"}
    assert screen.ended() == b""
    assert Screen().ended() == b""
