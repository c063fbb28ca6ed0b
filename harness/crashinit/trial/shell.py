"""A shell in a machine that is frozen at a trial's point: the driver's init is held there, before the fault.

Lines go to the guest's shell one by one. A few words of its own, with a colon, do what a trial would do next.
Ctrl-C never leaves it: the machine would be gone, and what is typed next would be for the host's own shell.
"""

import base64
import cmd
import codecs
import json
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, NoReturn

from crashinit.adapters.driven import Driven
from crashinit.errors import CrashinitError
from crashinit.machine.by_agent import PIECE
from crashinit.machine.protocol import Machine
from crashinit.model.trial import Trial
from crashinit.text.printable import printable
from crashinit.trial.recording import Recording

HERE = "/run/crashinit-shell"  # where the machine keeps what a line prints, its status, its last directory
RUNNING = 75
# $0: the line. Prints the id of its process, which leads a session.
START = f"""
mkdir -p {HERE}; rm -f {HERE}/*
setsid sh -c 'bash -c "$0"; echo $? >{HERE}/status' "$0" >{HERE}/out 2>&1 </dev/null &
echo $!
"""
# Waits a second at most for the process $0, and tells whether it runs.
LOOK = f"""
timeout 1 tail --pid=$0 -s 0.05 -f /dev/null
! kill -0 $0 2>/dev/null || exit {RUNNING}
"""


LEAVING = "':quit' or Ctrl-D leaves, and then the machine is gone"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in the shell. A KeyboardInterrupt that is none of these, as of SIGTERM, ends it."""


class Shell(cmd.Cmd):
    """The loop that reads lines. `fault` strikes the held init as the trial would."""

    def __init__(
        self,
        trial: Trial,
        recording: Recording,
        driven: Driven,
        fault: Callable[[], Any],
        stdin: IO[str] | None = None,
        stdout: IO[str] | None = None,
    ) -> None:
        super().__init__(stdin=stdin, stdout=stdout)
        self.use_rawinput = stdin is None
        self._machine: Machine = driven.machine
        self._driven = driven
        self._fault = fault
        self._held = True
        self._where = "/"
        self.prompt = "crashinit# "
        held = recording.operation
        self.intro = (
            f"init is held before operation {held.n if held else '?'}, '{trial.point.operation}'. "
            "Lines run in the machine's shell; ':help' tells what else there is."
        )

    def cmdloop(self, intro: Any = None) -> None:
        with _interrupts():
            while True:
                try:
                    return super().cmdloop(intro)
                except Interrupted:
                    intro = ""  # it was said already
                    self._say(f"\n({LEAVING})")

    def onecmd(self, line: str) -> bool:
        line = line.strip()
        if line in ("exit", "EOF", ":quit"):
            if line == "EOF":  # Ctrl-D: the cursor stands behind the prompt
                print(file=self.stdout)
            return True
        try:
            if line.startswith(":"):
                self._word(line[1:])
            elif line:
                self._run(line)
        except CrashinitError as error:
            self._say(f"error: {error}")
        except Interrupted:
            self._say("\n(interrupted: what the machine was asked for goes on there, and the next line waits for it)")
        return False

    def _word(self, word: str) -> None:
        match word:
            case "help":
                self._say(":fault   strike the held init as the trial does\n:init    run the driver's init")
                self._say(":probe   print the observation\n:quit    leave; the machine is gone then")
                self._say("Ctrl-C   end the line that runs")
            case "fault" if self._held:
                self._held = False
                self._report(self._fault())
            case "init" if not self._held:
                self._report(self._driven.init())
            case "probe":
                self._say(json.dumps(self._driven.observe().model_dump(), indent=2))
            case "fault" | "init":
                self._say("init is still held: ':fault' first." if self._held else "the fault has struck already.")
            case _:
                self._say(f"there is no ':{word}': ':help' tells what there is.")

    def _run(self, line: str) -> None:
        """Run a line in a session of its own; what it prints comes as it is printed, and Ctrl-C ends it alone."""
        script = f"cd {shlex.quote(self._where)} && {{ {line}\n}}; status=$?; pwd >{HERE}/cwd; exit $status"
        passed_on = 0  # presses of Ctrl-C
        is_interrupted = False
        with _counted() as presses:
            pid = self._machine.run("sh", "-c", START, script).check().stdout.strip()
            printed = 0
            text = codecs.getincrementaldecoder("utf-8")("replace")
            is_over = False
            while not is_over:
                if len(presses) > passed_on:
                    passed_on = len(presses)
                    is_interrupted |= self._machine.run("kill", "-TERM", "--", f"-{pid}").exit == 0
                runs = self._machine.run("sh", "-c", LOOK, pid).exit == RUNNING
                asked = self._machine.call("get", path=f"{HERE}/out", offset=printed, size=PIECE)
                piece = base64.b64decode(asked["data"])
                printed += len(piece)
                is_over = not runs and len(piece) < PIECE
                print(printable(text.decode(piece, is_over), None), end="", file=self.stdout, flush=True)
            self._where = self._machine.run("cat", f"{HERE}/cwd").stdout.strip() or self._where
            status = self._machine.run("cat", f"{HERE}/status").stdout.strip()
        if presses:  # the terminal has shown ^C, and no line feed after it
            self._say("\n(interrupted)" if is_interrupted else "\n(it had ended already)")
        if status not in ("0", ""):
            self._say(f"(exit status {status})")

    def _report(self, run: Any) -> None:
        self._say((run.stdout + run.stderr).rstrip("\n"))
        self._say(f"({len(run.operations)} operations, exit status {run.exit})")

    def _say(self, text: str) -> None:
        if text:
            print(printable(text, None), file=self.stdout)


@contextmanager
def _interrupts() -> Iterator[None]:
    """Have SIGINT raise Interrupted."""

    def interrupt(_signal: int, _frame: object) -> NoReturn:
        raise Interrupted

    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def _counted() -> Iterator[list[int]]:
    """Have SIGINT be counted: no request to the machine is broken off, and its answer left for the next one."""
    presses: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _frame: presses.append(number))
    try:
        yield presses
    finally:
        signal.signal(signal.SIGINT, previous)
