"""A shell in a machine that is frozen at a trial's point, for lines from a script; a person has trial/terminal.py.

Lines go to one shell in the machine; those with a colon are words. Ctrl-C never leaves it: the machine would be gone,
and what is typed next would be for the host's own shell.
"""

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NoReturn

from crashinit.errors import CrashinitError
from crashinit.trial.bash import Bash
from crashinit.trial.words import Words, told

PROMPT = "crashinit# "
LEAVING = "':quit' or Ctrl-D leaves, and then the machine is gone"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in the shell. A KeyboardInterrupt that is none of these, as of SIGTERM, ends it."""


class Shell:
    """The loop that reads lines."""

    def __init__(self, words: Words, lines: IO[str], out: IO[str]) -> None:
        self._words = words
        self._lines = lines
        self._out = out
        self._bash = Bash(words.machine, self._show)

    def run(self) -> None:
        """Until the last line, 'exit' or ':quit'."""
        self._show(f"{self._words.now.place} Lines run in the machine's shell; ':help' tells what else there is.\n")
        with interrupts():
            while not self._words.is_over:
                try:
                    self._show(PROMPT)
                    line = self._lines.readline()
                    if not line:
                        self._show("\n")  # the cursor stands behind the prompt
                    if not line or line.strip() == "exit":
                        return
                    self._line(line.strip())
                except Interrupted:
                    self._show(f"\n({LEAVING})\n")

    def _line(self, line: str) -> None:
        try:
            if line.startswith(":"):
                word, *names = shlex.split(line[1:]) or [""]
                self._show(self._words.do(word, *names))
                if self._bash.machine is not self._words.machine:
                    self._bash = Bash(self._words.machine, self._show)
            elif line:
                self._bash.run(line)
        except (CrashinitError, OSError, ValueError) as error:  # shlex: a quote that is not closed
            self._show(told(error))
        except Interrupted:
            self._show(
                "\n(interrupted: what the machine was asked for goes on there, and the next line waits for it)\n"
            )

    def _show(self, text: str) -> None:
        print(text, end="", file=self._out, flush=True)


@contextmanager
def interrupts() -> Iterator[None]:
    """Have SIGINT raise Interrupted."""

    def interrupt(_signal: int, _frame: object) -> NoReturn:
        raise Interrupted

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
