"""A shell in a machine that is frozen at a trial's point: the driver's init is held there, before the fault.

Lines go to one shell in the machine. A few words of its own, with a colon, do what a trial would do next, or show what
a trial is judged by. Ctrl-C never leaves it: the machine would be gone, and what is typed next would be for the host's
own shell.
"""

import cmd
import json
import shlex
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from crashinit.adapters.driven import GRACE, Driven
from crashinit.contract.recovery import compared
from crashinit.contract.said import ending
from crashinit.errors import CrashinitError, UsageError
from crashinit.model.observation import Evidence, OperationRecord
from crashinit.model.trial import Trial
from crashinit.text.printable import one_line, printable
from crashinit.trial.bash import Bash
from crashinit.trial.recording import Recording

LEAVING = "':quit' or Ctrl-D leaves, and then the machine is gone"
WORDS = {
    "trace": "the operations of an init without faults, with a mark where this one is held",
    "next": "let the operation run, and hold the init before the next one",
    "fault": "strike the held init as the trial does",
    "init": "run the driver's init, after ':fault'",
    "probe": "print what the probe sees",
    "diff": "what differs from the state after an init without faults",
    "judge": "run the whole trial in a copy of this moment, and judge it",
    "back": "go back to the moment before the fault, in a new machine",
    "get": "get FILE [TO]: copy a file of the machine to the host",
    "put": "put FILE TO: copy a file of the host into the machine",
    "help": "print this",
    "quit": "leave; the machine is gone then",
}
STRUCK = "the fault has struck already, or the init has ended: ':back' is before that."
NO_REFERENCE = "the run that planned this trial has kept no init without faults to compare with."


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
        *,
        healthy: Evidence | None = None,
        judge: Callable[[], Iterable[str]] | None = None,
        back: Callable[[], "tuple[Recording, Driven, Callable[[], Any]]"] | None = None,
    ) -> None:
        """`healthy`: an init without faults. `judge`: the whole trial's verdict, in lines. `back`: the moment anew."""
        super().__init__(stdin=stdin, stdout=stdout)
        self.use_rawinput = stdin is None
        self._trial = trial
        self._healthy = healthy
        self._judge = judge
        self._back = back
        self.prompt = "crashinit# "
        self._begin(recording, driven, fault)
        self.intro = f"{self._place()} Lines run in the machine's shell; ':help' tells what else there is."

    def _begin(self, recording: Recording, driven: Driven, fault: Callable[[], Any]) -> None:
        """Be at the trial's point, in this machine."""
        self._driven = driven
        self._fault = fault
        self._held = True
        self._operation = recording.operation
        self._gate = recording.state.get("gate")
        self._bash = Bash(driven.machine, self._show)

    def _place(self) -> str:
        held = self._operation
        return f"init is held before operation {held.n}, '{held.key}'." if held else "init is held."

    def preloop(self) -> None:
        if self.use_rawinput:
            import readline

            readline.set_completer_delims(" \t\n")

    def complete(self, text: str, state: int) -> str | None:  # type: ignore[override]
        """What Tab makes of a word: one of ours after a colon, else a command or file of the machine."""
        if state == 0:
            import readline

            is_first = readline.get_begidx() == 0
            if is_first and text.startswith(":"):
                self.completion_matches = [f":{word} " for word in WORDS if word.startswith(text[1:])]
            else:
                self.completion_matches = self._bash.completions(text, command=is_first)
        found = self.completion_matches or []
        return found[state] if state < len(found) else None

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
                self._bash.run(line)
        except CrashinitError as error:
            self._say(f"error: {error}")
        except OSError as error:
            self._say(f"error: '{error.filename}': {error.strerror}")
        except ValueError as error:  # shlex: a quote that is not closed
            self._say(f"error: {error}")
        except Interrupted:
            self._say("\n(interrupted: what the machine was asked for goes on there, and the next line waits for it)")
        return False

    def _word(self, said: str) -> None:
        word, *names = shlex.split(said) or [""]
        match word, names:
            case "help", []:
                for name, meaning in WORDS.items():
                    self._say(f":{name:7} {meaning}")
                self._say("Ctrl-C   end the line that runs")
            case "fault", [] if self._held:
                self._held = False
                self._report(self._fault())
            case "next", [] if self._held:
                self._next()
            case "init", [] if not self._held:
                self._report(self._driven.init())
            case "probe", []:
                self._say(json.dumps(self._driven.observe().model_dump(), indent=2))
            case "trace", []:
                self._trace()
            case "diff", []:
                self._diff()
            case "judge", [] if self._judge:
                for line in self._judge():
                    self._say(one_line(line))
            case "back", [] if self._back:
                self._begin(*self._back())
                self._say(self._place())
            case "get", [source, *rest] if len(rest) < 2:
                self._get(source, Path(rest[0] if rest else Path(source).name))
            case "put", [source, target]:
                self._driven.machine.put(Path(source), target)
                self._say(f"'{target}' is in the machine")
            case (("fault" | "next" | "init"), []):
                self._say("init is still held: ':fault' first." if self._held else STRUCK)
            case _:
                known = WORDS.get(word)
                self._say(f":{word}: {known}" if known else f"there is no ':{word}': ':help' tells what there is.")

    def _next(self) -> None:
        """One operation further."""
        deadline = self._trial.setup.deadline + GRACE
        state = self._driven.machine.call("gate_resume", timeout=deadline, gate=self._gate, stop="every")
        if state["operation"]:
            self._operation = OperationRecord.model_validate(state["operation"])
            self._say(self._place())
        else:
            self._held = False
            self._say("that was its last operation:")
            self._report(self._driven.finish(self._gate))

    def _trace(self) -> None:
        held = self._operation if self._held else None
        for operation in self._reference().fault_run.operations:
            mark = ">" if held and held.key == operation.key else " "
            self._say(one_line(f"{mark}{operation.n:4}  {operation.key}"))

    def _diff(self) -> None:
        """Facts that C13 compares."""
        setup, healthy = self._trial.setup, self._reference().after
        if healthy is None:
            raise UsageError(NO_REFERENCE)
        adapter = self._driven.adapter
        expectation = adapter.expectation(setup.options, setup.deadline)
        found = compared(expectation, adapter.kind, self._driven.observe(), healthy, "C13")
        for difference in found:
            self._say(one_line(str(difference)))
        if not found:
            self._say("nothing differs from the state after an init without faults")

    def _reference(self) -> Evidence:
        if self._healthy is None:
            raise UsageError(NO_REFERENCE)
        return self._healthy

    def _get(self, source: str, target: Path) -> None:
        """Copy a file from the machine, in the place of none of the host's."""
        content = self._driven.machine.get(source)
        try:
            with target.open("xb") as file:
                file.write(content)
        except OSError as error:
            raise UsageError(f"'{target}' cannot be written: {error.strerror}.") from error
        self._say(f"'{target}': {len(content)} bytes")

    def _report(self, run: Any) -> None:
        self._say((run.stdout + run.stderr).rstrip("\n"))
        self._say(one_line(f"(operations: {len(run.operations)}; the init {ending(run)})"))

    def _show(self, text: str) -> None:
        print(text, end="", file=self.stdout, flush=True)

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
