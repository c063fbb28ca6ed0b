"""A program in a terminal of its own, which is ended from outside once it has a first result."""

import contextlib
import os
import pty
import select
import signal
import sys
from pathlib import Path

from .processes import descendants, is_alive
from .toys import environment

WAYS = ["SIGTERM", "SIGINT", "the terminal is closed"]


def ended_from_outside(arguments: list[str], results: Path, how: str) -> str:
    """Run `python -m ARGUMENTS`, and end it in one of the WAYS when there is something in `results`; what it said.

    It ends with exit code 2 and without a traceback, and nothing that it started is left.
    """
    program = [sys.executable, "-m", *arguments]
    pid, terminal = pty.fork()
    if not pid:
        os.execve(sys.executable, program, environment())
    said = b""
    while not results.exists() or not results.read_bytes():
        if select.select([terminal], [], [], 0.05)[0]:
            said += os.read(terminal, 1 << 16)
    below = descendants(pid)
    if how.startswith("SIG"):
        os.kill(pid, signal.Signals[how])
        with contextlib.suppress(OSError):  # EIO: it has ended
            while data := os.read(terminal, 1 << 16):
                said += data
    os.close(terminal)
    _, status = os.waitpid(pid, 0)

    text = said.decode(errors="replace")
    assert os.waitstatus_to_exitcode(status) == 2, text
    assert "Traceback" not in text, text
    assert "Exception ignored" not in text, text
    assert below
    for process in below:
        while is_alive(process):
            pass  # whoever is left for good is found by the time that a test may take
    return text
