"""One shell in the machine for all the lines of a session: what one line sets, the next one finds.

It reads lines from a pipe and has no terminal. It is an interactive one to bash, since such a shell outlives the Ctrl-C
that ends what it runs.
"""

import base64
import codecs
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from crashinit.machine.by_agent import PIECE
from crashinit.machine.protocol import Machine
from crashinit.text.printable import printable

HERE = "/run/crashinit-shell"  # where the machine keeps the line, what lines print, and the last one's status
RUNNING = 75
# Prints the shell's process id; the shell leads a session. What it says itself (prompts) is for nobody.
START = f"""
mkdir -p {HERE}; rm -f {HERE}/*; mkfifo {HERE}/in; : >{HERE}/out
setsid --fork sh -c 'echo $$ >{HERE}/pid.new; mv {HERE}/pid.new {HERE}/pid
exec env PS1= PS2= HISTFILE= bash --norc --noprofile --noediting -i <>{HERE}/in >{HERE}/out 2>/dev/null'
until [ -s {HERE}/pid ]; do sleep 0.02; done
cat {HERE}/pid
"""
# $0: the line, $1: the shell. The line is read from a file, so that nothing in it is part of ours. Ctrl-C throws the
# shell out of the whole line that says 'begun', and the next one says how it ended.
RUN = f"""
printf '%s\\n' "$0" >{HERE}/line; rm -f {HERE}/status {HERE}/begun
printf '%s\\n' ': >{HERE}/begun; . {HERE}/line </dev/null >>{HERE}/out 2>&1' 'echo $? >{HERE}/status' >{HERE}/in
until [ -e {HERE}/begun ] || ! kill -0 $1; do sleep 0.02; done
"""
# Waits a second at most for the line's end, and tells whether the shell $0 still runs it.
LOOK = f"""
for each in $(seq 20); do
    [ ! -s {HERE}/status ] || exit 0
    kill -0 $0 2>/dev/null || exit 0
    sleep 0.05
done
exit {RUNNING}
"""


class Bash:
    """The shell. It begins with the first line, and anew after one that ended it."""

    def __init__(self, machine: Machine, say: Callable[[str], None]) -> None:
        """`say` gets what is printed, as it is printed."""
        self.machine = machine
        self._say = say
        self._pid = ""
        self._printed = 0

    def run(self, line: str) -> None:
        """Run a line; what it prints comes as it is printed, and Ctrl-C ends it alone."""
        passed_on = 0  # presses of Ctrl-C
        is_interrupted = False
        with counted() as presses:
            if not self._pid:
                self._pid, self._printed = self.machine.run("sh", "-c", START).check().stdout.strip(), 0
            self.machine.run("sh", "-c", RUN, line, self._pid).check()
            text = codecs.getincrementaldecoder("utf-8")("replace")
            is_over = False
            while not is_over:
                if len(presses) > passed_on:
                    # As a terminal does; what pays no heed is ended by the second press, and the shell by none.
                    name, passed_on = "-INT" if passed_on == 0 else "-TERM", len(presses)
                    still = self.machine.run("sh", "-c", LOOK.replace("seq 20", "seq 1"), self._pid).exit == RUNNING
                    is_interrupted |= still and self.machine.run("kill", name, "--", f"-{self._pid}").exit == 0
                runs = self.machine.run("sh", "-c", LOOK, self._pid).exit == RUNNING
                asked = self.machine.call("get", path=f"{HERE}/out", offset=self._printed, size=PIECE)
                piece = base64.b64decode(asked["data"])
                self._printed += len(piece)
                is_over = not runs and len(piece) < PIECE
                self._say(printable(text.decode(piece, is_over), None))
            status = self.machine.run("cat", f"{HERE}/status").stdout.strip()
        if presses:  # the terminal has shown ^C, and no line feed after it
            self._say("\n(interrupted)\n" if is_interrupted else "\n(it had ended already)\n")
        if not status:
            self._pid = ""
            self._say("(the machine's shell has ended: the next line begins another one, without its variables)\n")
        elif status != "0" and not presses:
            self._say(f"(exit status {status})\n")


@contextmanager
def counted() -> Iterator[list[int]]:
    """Have SIGINT be counted: no request to the machine is broken off, and its answer left for the next one."""
    presses: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _frame: presses.append(number))
    try:
        yield presses
    finally:
        signal.signal(signal.SIGINT, previous)
