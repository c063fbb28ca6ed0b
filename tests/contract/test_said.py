"""What a reason quotes of a run is what tells most, and nothing that a terminal obeys."""

import pytest
from crashinit.contract.said import QUOTED, ending, plainest, quoted, succeeded

from .builder import run

GO = """starting
fatal error: sync: unlock of unlocked mutex

goroutine 1 [running]:
runtime.fatal({0x4b1ac0?, 0x0?})
\t/src/main.go:14 +0xec
"""
PYTHON = """warning: slow
Traceback (most recent call last):
  File "/usr/bin/d", line 3, in <module>
    os.mkdir("/r")
OSError: [Errno 5] Input/output error: '/r'
"""


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        (GO, "fatal error: sync: unlock of unlocked mutex"),
        (GO.replace("fatal error: sync", "panic: runtime error"), "panic: runtime error: unlock of unlocked mutex"),
        (
            "thread 'main' panicked at src/main.rs:2:5:\nno pool\nnote: run with",
            "thread 'main' panicked at src/main.rs:2:5:",
        ),
        (PYTHON, "OSError: [Errno 5] Input/output error: '/r'"),
        ("d: no pool\nsh: 3: d: Success\ninit.sh: line 4: 17 Killed d\nAborted (core dumped)\n", "d: no pool"),
        ("init.sh: line 16: /usr/bin/d: Success\n", "init.sh: line 16: /usr/bin/d: Success"),
        ("starting\nno pool\n", "no pool"),
        ("", "printed"),
    ],
    ids=["go fatal", "go panic", "rust", "python", "shell around", "shell alone", "last", "standard output"],
)
def test_the_line_that_tells_most_is_quoted(stderr: str, said: str) -> None:
    """A panic's first line, an exception's last, the driver's own words before those of the shell around it."""
    assert plainest(run(stderr=stderr, stdout="printed\n")) == said


def test_a_quotation_is_short_and_keeps_both_ends() -> None:
    """What is said first and the cause, which stands last, are both there."""
    said = quoted(f"cannot make the pool: {'x' * 10_000}: Input/output error")

    assert len(said) == QUOTED
    assert said.startswith("cannot make the pool: x")
    assert said.endswith("x: Input/output error")


def test_a_quotation_is_nothing_that_a_terminal_obeys() -> None:
    """Escape sequences, halves of characters and line ends are shown as what they are."""
    assert quoted("\x1b[2J\x07 caf\u00e9 \udce9 \U000e0001") == r"\x1b[2J\x07 café \udce9 \U000e0001"


@pytest.mark.parametrize(("number", "name"), [(11, "SIGSEGV"), (6, "SIGABRT"), (99, "99")])
def test_a_signal_is_named(number: int, name: str) -> None:
    """A number means little to a reader."""
    assert ending(run(exit=-number)) == f"was ended by signal {name} and printed nothing"


@pytest.mark.parametrize(
    ("busy", "how"),
    [
        (59.8, " (it was busy for 59.8 of them)"),
        (0.2, " (it waited, and was busy for 0.2 of them)"),
        (None, ""),
    ],
)
def test_one_that_spins_is_told_from_one_that_waits(busy: float | None, how: str) -> None:
    """Of a run that did not end in time the reason says what it did all the time, if that was recorded."""
    late = run(exit=-9, timed_out=True, seconds=60.0, stderr="no pool").model_copy(update={"busy": busy})

    assert ending(late) == f"did not end in time and was ended after 60.0 s{how}: 'no pool'"


def test_a_daemon_that_ends_too_early_speaks_for_itself() -> None:
    """Exit status 0 is no success of a daemon that never got ready, and what is quoted are its own words alone."""
    early = run(exit=1, early=True, stderr="no pool")

    assert not succeeded(early)
    assert ending(early) == "ended with exit status 0 before it was ready: 'no pool'"
    assert ending(early.model_copy(update={"stderr": ""})) == (
        "ended with exit status 0 before it was ready and printed nothing"
    )
