"""The terminal that the agent gives a shell, on this host: it needs no more of a machine than a kernel."""

import base64
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from crashinit.guest.terminal import Terminal

SIZE = (24, 80)
SCRIPT = "stty -echo; trap 'stty size' WINCH; echo begun; while read -r line; do eval \"$line\"; done"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(["sh", "-c", SCRIPT], {}, str(tmp_path / "words"), SIZE, {"OWNER": "us"})
    until(terminal, lambda got: b"begun" in got["text"])
    yield terminal
    terminal.close()


def until(
    terminal: Terminal, is_there: Callable[[dict[str, Any]], object], typed: bytes = b"", size: tuple[int, int] = SIZE
) -> dict[str, Any]:
    """The exchange that shows it, with all of the text up to then."""
    text = b""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        got = terminal.exchange(typed, size, 0.1)
        text += base64.b64decode(got["shown"])
        if is_there(got | {"text": text}):
            return got | {"text": text}
        typed = b""
    raise AssertionError(f"it does not come: {text!r}")


def test_what_is_typed_goes_in_and_what_is_shown_comes_out(terminal: Terminal) -> None:
    """The shell has a terminal, the harness's mark, and as many lines as it likes."""
    got = until(terminal, lambda got: b"end" in got["text"], b'tty; echo "[$OWNER]"; seq 20000; echo end\n')

    assert got["text"].startswith(b"/dev/pts/")
    assert b"[us]" in got["text"]
    assert got["text"].split()[2:-1] == [b"%d" % n for n in range(1, 20001)]


def test_a_key_that_is_a_signal_ends_what_runs(terminal: Terminal) -> None:
    """Ctrl-C reaches the program in the foreground."""
    terminal.exchange(b"trap 'echo caught' INT; sleep 1000\n", SIZE, 0.0)
    until(terminal, lambda got: sleeps(terminal))

    assert b"caught" in until(terminal, lambda got: b"caught" in got["text"], b"\x03")["text"]
    assert not sleeps(terminal)


def sleeps(terminal: Terminal) -> bool:
    """Whether the shell has a child that is sleep(1)."""
    shell = terminal._process.pid
    children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
    return any(Path(f"/proc/{child}/comm").read_text() == "sleep\n" for child in children)


def test_its_size_follows(terminal: Terminal) -> None:
    """A program is told by SIGWINCH, and finds the new size."""
    shown = until(terminal, lambda got: b"100" in got["text"], b"\n", (30, 100))["text"]

    assert shown.split()[:2] == [b"30", b"100"]


def test_more_than_the_terminal_takes_at_once_waits(terminal: Terminal) -> None:
    """What is pasted while nobody reads is there when somebody does."""
    lines = [b"%d %s\n" % (n, b"x" * 50) for n in range(4000)]
    terminal.exchange(b"sleep 0.2; head -n 4000 | cksum\n" + b"".join(lines), SIZE, 0.0)
    got = until(terminal, lambda got: b"\n" in got["text"])

    assert int(got["text"].split()[1]) == sum(map(len, lines))


def test_a_word_is_asked_and_answered(terminal: Terminal, tmp_path: Path) -> None:
    """A request comes with its directory and words as they are; the answer wakes who waits for it."""
    fifo = tmp_path / "7"
    os.mkfifo(fifo)
    asks = f"exec 3<>{fifo}; echo shown before; printf '%s\\0' 3 7 /etc put 'a b' '' >{tmp_path}/words; "
    got = until(
        terminal, lambda got: got["word"], f'{asks} read -r said <&3; echo "<$said>"; cat {fifo}.said\n'.encode()
    )

    assert got["word"] == {"name": "7", "directory": "/etc", "words": ["put", "a b", ""]}
    assert b"shown before" in got["text"]
    terminal.answer("7", 1, "again", b"told\n")
    answered = until(terminal, lambda got: b"told" in got["text"])
    assert answered["text"].split() == [b"<1", b"again>", b"told"]


def test_what_is_no_request_is_dropped(terminal: Terminal, tmp_path: Path) -> None:
    """Anybody in the machine can write there: nothing comes of it; the next request is heard, also one in parts."""
    until(terminal, lambda got: b"done" in got["text"], f"echo nonsense >{tmp_path}/words; echo done\n".encode())
    half = f"printf '2\\0007\\0/\\000get' >{tmp_path}/words; echo half\n"
    until(terminal, lambda got: b"half" in got["text"], half.encode())
    got = until(terminal, lambda got: got["word"], f"printf '\\0a\\0' >{tmp_path}/words\n".encode())

    assert got["word"]["words"] == ["get", "a"]


@pytest.mark.parametrize(("ends", "status"), [(b"echo last; exit 3\n", 3), (b"echo last; kill -9 $$\n", -9)])
def test_its_end_is_told_with_all_it_has_shown(terminal: Terminal, ends: bytes, status: int) -> None:
    """A status, or a signal as a negative one; also when somebody it has started still has the terminal open."""
    terminal.exchange(b"sleep 5 &\n", SIZE, 0.0)
    got = until(terminal, lambda got: got["exit"] is not None, ends)

    assert (got["exit"], got["text"].split()) == (status, [b"last"])
