"""A shell in a machine that is frozen at a trial's point, for a person: bash on a terminal of its own there.

Words with a colon are functions of that bash, which ask us and wait: Tab completes them, a pipe takes what they say,
and history has them. Bash is part of each moment that has a name: who goes back to one finds it as it was then.

A machine in virtual time runs only while it answers, and its clock is kept from running ahead of ours (decision 42).
"""

import base64
import shlex
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from crashinit.errors import CrashinitError, GuestError, MachineError
from crashinit.machine.protocol import Machine
from crashinit.text.printable import one_line
from crashinit.trial.bash import counted
from crashinit.trial.shell import Interrupted, interrupts
from crashinit.trial.tty import Tty
from crashinit.trial.words import MEANINGS, Words, told

HERE = "/run/crashinit-shell"
ASK, ASK_KEY = b"\x1d", "Ctrl-]"
CTRL_C, INTERRUPTED = b"\x03", 130  # as a shell tells it
TIMEOUT = 15.0  # seconds in which an exchange is answered; what the shell runs does not hold it up
FIRST, LONGEST = 0.02, 0.2  # seconds of the machine's that one exchange takes when something was shown, or nothing
LIVE = 0.04  # the same where the machine goes on by itself: no key waits longer
TERM = "xterm-256color"  # what a terminal is taken for that the machine does not know
# How the shell asks: guest/terminal.py has the other side. An answer with a status of its own is an error's.
RC = f"""
PS1='crashinit:\\w# ' HISTFILE= COMP_WORDBREAKS=${{COMP_WORDBREAKS//:}}
infocmp >/dev/null 2>&1 || TERM={TERM}
__crashinit() {{
    local name=$BASHPID fifo={HERE}/$BASHPID fd status again
    rm -f "$fifo"; mkfifo -m 600 "$fifo" && exec {{fd}}<>"$fifo" || return
    printf '%s\\0' "$#" "$name" "$PWD" "$@" >{HERE}/words
    read -r status again <&$fd
    exec {{fd}}<&-
    if [ "$status" = 0 ]; then cat "$fifo.said"; else cat "$fifo.said" >&2; fi
    rm -f "$fifo" "$fifo.said"
    [ -z "$again" ] || history -s -- "$again"
    return "${{status:-1}}"
}}
command_not_found_handle() {{
    case $1 in
    :*) __crashinit "${{1#:}}" ;;
    *) echo "bash: $1: command not found" >&2; return 127 ;;
    esac
}}
{"".join(f':{word}() {{ __crashinit {word} "$@"; }}{chr(10)}' for word in MEANINGS)}
"""
HELP = f"""
{ASK_KEY}   a line for these words alone, whatever the machine does; also ':quit' when it hangs
Ctrl-C   end what runs in the machine
"""


class Pace:
    """How long the machine may run at once, and how much of our time its clock is ahead."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._is_live = machine.time == "real" or machine.elapsed is None
        self.slice = LIVE if self._is_live else FIRST
        self._begin()

    def ahead(self) -> float:
        """Seconds; time in which the machine was slower than we is not made up for."""
        if self._is_live:
            return 0.0
        ahead = ((self._machine.elapsed or 0.0) - self._at) - (time.monotonic() - self._since)
        if ahead < 0:
            self._begin()
        return max(ahead, 0.0)

    def seen(self, anything: object) -> None:
        """Whether a slice has brought anything: short ones follow then, and else longer ones."""
        if not self._is_live:
            self.slice = FIRST if anything else min(2 * self.slice, LONGEST)

    def _begin(self) -> None:
        self._at, self._since = self._machine.elapsed or 0.0, time.monotonic()


class Terminal:
    """The session."""

    def __init__(self, words: Words, tty: Tty, term: str) -> None:
        """`term`: what kind of terminal it is (term(7))."""
        self._words = words
        self._tty = tty
        self._term = term
        self._machine = words.machine  # in which the shell is
        self._waiting: dict[str, str] = {}  # by a moment's name: for which word bash waits there; "": for none
        self._is_hidden = False  # what we have said stands on the screen in the place of what runs
        words.may = self._may

    def run(self) -> None:
        """Until the shell has ended or ':quit' was said."""
        self._tty.write(f"{self._words.now.place} A shell in the machine; ':help' tells what else there is.\n")
        step: Callable[[], Callable[[], Any] | None] = self._begin
        with interrupts():
            while not self._words.is_over:
                try:
                    step = step() or self._converse
                except Interrupted:
                    self._tty.write("\n")
                    step = self._converse
                except EOFError:
                    return
                except MachineError as error:
                    self._leave_the_machine()
                    self._tty.write(f"{told(error)}(':back' or ':back NAME': another machine, ':quit': leave)\n")
                    step = partial(self._ask, is_lost=True)

    def _begin(self) -> None:
        """A new shell."""
        self._tty.for_a_while()
        self._machine = machine = self._words.machine
        machine.put(RC.encode(), f"{HERE}/rc")
        argv, words = ["bash", "--rcfile", f"{HERE}/rc", "-i"], f"{HERE}/words"
        machine.call("terminal_begin", argv=argv, env={"TERM": self._term}, words=words, size=self._tty.size)

    def _begin_again(self, why: str) -> None:
        self._leave_the_machine()
        self._tty.write(f"({why}: this is another one)\n")
        self._begin()

    def _converse(self) -> Callable[[], Any] | None:
        """Be the shell's terminal until it asks for something, ends, or is left by ASK; what to do then."""
        pace = Pace(self._machine)
        self._tty.for_the_machine()
        with counted() as presses:  # by kill(1): in this mode no key is a signal
            while not self._words.is_over:
                typed, asks, _ = self._tty.keys(pace.ahead()).partition(ASK)
                typed += CTRL_C * len(presses)
                presses.clear()
                try:
                    got = self._exchange(typed, pace.slice)
                except GuestError:
                    return partial(self._begin_again, "the machine was booted anew, and its shell is gone")
                pace.seen(typed or got["shown"])
                if word := got["word"]:
                    return partial(self._do, word["words"], word["directory"], word["name"])
                if got["exit"] is not None:
                    if got["exit"] < 0:  # who has left it leaves, and who has lost it does not
                        return partial(self._begin_again, "the machine's shell was killed")
                    self._words.is_over = True
                if asks:
                    self._leave_the_machine()
                    return self._ask
        return None

    def _exchange(self, typed: bytes, wait: float) -> dict[str, Any]:
        rows, columns = self._tty.size
        if self._is_hidden:  # whatever runs there shows itself again when the size changes
            self._is_hidden, columns = False, max(columns - 1, 1)
        size = rows, columns
        got: dict[str, Any] = self._machine.call("terminal", timeout=TIMEOUT, typed=typed, size=size, wait=wait)
        self._tty.show(base64.b64decode(got["shown"]))
        return got

    def _ask(self, *, is_lost: bool = False) -> None:
        """One line of a word, typed here."""
        line = self._tty.asks("crashinit> ")
        if not line:
            self._tty.write("\n")
            self._words.is_over = is_lost
        try:
            words = shlex.split(line.strip().removeprefix(":"))
        except ValueError as error:
            self._tty.write(told(error))
            words = []
        self._do(words)

    def _do(self, words: list[str], directory: str = "/", name: str = "") -> None:
        """Do what was asked for; `name`: by which the shell waits for it."""
        self._tty.for_a_while()
        status, said = 0, ""
        try:
            if words:
                said = self._words.do(*words, directory=directory)
        except MachineError:
            raise
        except (CrashinitError, OSError, ValueError) as error:
            status, said = 1, told(error)
        except Interrupted:
            status, said = INTERRUPTED, "(interrupted: what the machine was asked for goes on there)\n"
        if words == ["help"]:
            said += HELP
        if words[:1] == ["fork"] and not status:
            self._waiting[words[1]] = name
        if self._words.is_over:
            return
        if self._words.machine is self._machine:
            self._reply(name, status, said)
        elif len(words) > 1:  # back at a moment with a name, where bash waits for what has named it
            self._machine = self._words.machine
            self._reply(self._waiting[words[1]], status, said, one_line(f":{shlex.join(words)}"))
        else:
            self._tty.write(said)
            self._begin()

    def _reply(self, name: str, status: int, said: str, again: str = "") -> None:
        """Tell the shell, or who has typed it here."""
        if name:
            try:
                answer = {"name": name, "status": status, "again": again, "said": said.encode()}
                self._machine.call("terminal_answer", timeout=TIMEOUT, **answer)
            except GuestError:
                self._tty.write(said)
            return
        self._tty.write(said)
        self._is_hidden = True

    def _may(self, what: str) -> bool:
        """What a function of the machine's bash asks for may be anybody's wish there, so a person has to say yes."""
        said = self._tty.asks(one_line(f"{what}? [y/N] "))
        self._tty.for_a_while()
        return said.strip().lower() in ("y", "yes")

    def _leave_the_machine(self) -> None:
        self._tty.plain()
        self._tty.for_a_while()
        self._tty.write("\n")
