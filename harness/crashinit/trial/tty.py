"""This host's terminal while a shell of a machine has it, and how it gets to be as it was."""

import os
import select
import sys
import termios
import tty
from contextlib import suppress
from typing import Any, Self

from crashinit.text.screen import Screen

CHUNK = 1 << 12
OFF = b"\0"  # _POSIX_VDISABLE
IFLAG, OFLAG, CFLAG, LFLAG, _, _, CC = range(7)  # of what tcgetattr gives


class Tty:
    """A context manager: when it is left, the terminal is as before, and what was typed and not read yet is gone."""

    def __init__(self) -> None:
        self._in, self._out = sys.stdin.fileno(), sys.stdout.fileno()
        self._before: list[Any] = termios.tcgetattr(self._in)
        self._screen = Screen()

    @staticmethod
    def is_there() -> bool:
        """Whether a person sits at both ends."""
        return sys.stdin.isatty() and sys.stdout.isatty()

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        columns, rows = os.get_terminal_size(self._out)
        return rows, columns

    def for_the_machine(self) -> None:
        """Each key is the machine's, Ctrl-C as well."""
        tty.setraw(self._in, termios.TCSADRAIN)

    def for_a_while(self) -> None:
        """What is typed waits, unseen, until the machine has the terminal again; Ctrl-C is ours."""
        modes = self._ours()
        modes[LFLAG] &= ~(termios.ICANON | termios.ECHO)
        termios.tcsetattr(self._in, termios.TCSADRAIN, modes)

    def asks(self, question: str) -> str:
        """A line that is typed here; nothing that was typed before is part of it. "": the end of input."""
        termios.tcsetattr(self._in, termios.TCSAFLUSH, self._ours())
        self.write(question)
        return sys.stdin.readline()

    def keys(self, seconds: float) -> bytes:
        """What is typed within so many seconds. Raises EOFError when the terminal is gone."""
        if not select.select([self._in], [], [], seconds)[0]:
            return b""
        try:
            typed = os.read(self._in, CHUNK)
        except OSError as error:
            raise EOFError("the terminal is gone") from error
        if not typed:
            raise EOFError("the terminal is gone")
        return typed

    def show(self, data: bytes) -> None:
        """What the machine shows."""
        self._write(self._screen.passed(data))

    def write(self, text: str) -> None:
        """What we say."""
        self._write(text.encode())

    def plain(self) -> None:
        """Whatever the machine's programs have made of the screen is over."""
        self._write(self._screen.ended())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(OSError, termios.error):
            termios.tcsetattr(self._in, termios.TCSAFLUSH, self._before)
            self.plain()

    def _ours(self) -> list[Any]:
        """As before, but nothing that is typed stops this process, which would leave the keys to another one."""
        modes = [*self._before[:CC], list(self._before[CC])]
        for key in (termios.VSUSP, termios.VQUIT):
            modes[CC][key] = OFF
        return modes

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._out, rest) :]
