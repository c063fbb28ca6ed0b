"""The words of the shell at a trial's point: do what a trial would do next, show what it is judged by, go back.

A moment is a machine and what is known of the init in it. `fork` gives one a name, and `back` is there again, as often
as one likes.
"""

import json
import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from crashinit.adapters.driven import GRACE, Driven
from crashinit.contract.recovery import compared
from crashinit.contract.said import ending
from crashinit.errors import CrashinitError, UsageError
from crashinit.machine.protocol import Machine, Template
from crashinit.model.observation import Evidence, OperationRecord, Run
from crashinit.model.trial import Trial
from crashinit.text.printable import one_line, printable
from crashinit.trial.recording import Recording

MEANINGS = {
    "trace": "the operations of an init without faults, with a mark where this one is held",
    "next": "let the operation run, and hold the init before the next one",
    "fault": "strike the held init as the trial does",
    "init": "run the driver's init, after ':fault'",
    "probe": "print what the probe sees",
    "diff": "what differs from the state after an init without faults",
    "judge": "run the whole trial in a copy of this moment, and judge it",
    "fork": "fork NAME: keep this moment under a name",
    "back": "back [NAME]: go back to that moment, or to the one before the fault",
    "forks": "the moments that have a name",
    "get": "get FILE [TO]: copy a file of the machine to the host",
    "put": "put FILE TO: copy a file of the host into the machine",
    "help": "print this",
    "quit": "leave; the machine is gone then",
}
STRUCK = "the fault has struck already, or the init has ended: ':back' is before that."
NO_REFERENCE = "the run that planned this trial has kept no init without faults to compare with."
NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")
FORKS = 20  # moments with a name: each holds the memory that its machine has written


@dataclass(frozen=True)
class Moment:
    """A machine, and the init in it: its gate, the operation before which it is held, whether it is held."""

    driven: Driven
    gate: str
    operation: OperationRecord | None
    is_held: bool = True

    @property
    def place(self) -> str:
        """Where the init is, in a sentence."""
        if not self.is_held:
            return "init is held no more."
        held = self.operation
        return f"init is held before operation {held.n}, '{held.key}'." if held else "init is held."

    def moved(self, machine: Machine) -> "Moment":
        """The same in another machine; what is known of the driver is a copy."""
        here = self.driven
        return replace(self, driven=deepcopy(here, {id(here.machine): machine, id(here.adapter): here.adapter}))


class Words:
    """What they do, at the moment that is now."""

    def __init__(
        self,
        trial: Trial,
        hold: Callable[[], tuple[Recording, Driven]],
        strike: Callable[[Driven, str], Run],
        *,
        healthy: Evidence | None = None,
        judge: Callable[[], Iterable[str]] | None = None,
        may: Callable[[str], bool] = lambda what: True,
    ) -> None:
        """`hold`: the trial's moment, each time in a new machine in the place of the one before. `strike`: the fault.
        `healthy`: an init without faults. `judge`: the whole trial's verdict, in lines. `may`: whether something of the
        host may be read or written.
        """
        self._trial = trial
        self._hold = hold
        self._strike = strike
        self._healthy = healthy
        self._judge = judge
        self.may = may
        self._forks: dict[str, tuple[Moment, Template]] = {}
        self.is_over = False  # ':quit' was said
        self.now = self._from_the_start()

    @property
    def machine(self) -> Machine:
        """That of the moment."""
        return self.now.driven.machine

    def do(self, word: str, *names: str, directory: str = "/") -> str:
        """What a word has to say; paths of the machine begin in `directory`. Raises CrashinitError, OSError."""
        said = "\n".join(self._done(word, names, directory)).rstrip("\n")
        return f"{printable(said, None)}\n" if said else ""

    def close(self) -> None:
        """End the machine, and free what the moments hold."""
        self.machine.close()
        for _, template in self._forks.values():
            template.close()
        self._forks.clear()

    def _done(self, word: str, names: tuple[str, ...], directory: str) -> Iterable[str]:
        driven, held = self.now.driven, self.now.is_held
        match word, names:
            case "help", ():
                return [f":{name:7} {meaning}" for name, meaning in MEANINGS.items()]
            case "fault", () if held:
                self.now = replace(self.now, is_held=False)
                return _reported(self._strike(driven, self.now.gate))
            case "next", () if held:
                return self._next()
            case "init", () if not held:
                return _reported(driven.init())
            case "probe", ():
                return [json.dumps(driven.observe().model_dump(), indent=2)]
            case "trace", ():
                return self._trace()
            case "diff", ():
                return self._diff()
            case "judge", () if self._judge:
                return map(one_line, self._judge())
            case "fork", (name,):
                return self._fork(name)
            case "forks", ():
                return [f"{name:12} {moment.place}" for name, (moment, _) in self._forks.items()]
            case "back", names if len(names) < 2:
                return self._back(*names)
            case "get", (source, *rest) if len(rest) < 2:
                return self._get(str(PurePosixPath(directory, source)), rest[0] if rest else Path(source).name)
            case "put", (source, target):
                return self._put(Path(source), str(PurePosixPath(directory, target)))
            case "quit", ():
                self.is_over = True
                return []
            case (("fault" | "next" | "init"), ()):
                raise UsageError("init is still held: ':fault' first." if held else STRUCK)
        known = MEANINGS.get(word)
        raise UsageError(f":{word}: {known}" if known else f"there is no ':{word}': ':help' tells what there is.")

    def _next(self) -> Iterable[str]:
        """One operation further."""
        driven, gate = self.now.driven, self.now.gate
        deadline = self._trial.setup.deadline + GRACE
        state = driven.machine.call("gate_resume", timeout=deadline, gate=gate, stop="every")
        if state["operation"]:
            self.now = replace(self.now, operation=OperationRecord.model_validate(state["operation"]))
            return [self.now.place]
        self.now = replace(self.now, is_held=False)
        return ["that was its last operation:", *_reported(driven.finish(gate))]

    def _trace(self) -> Iterable[str]:
        held = self.now.operation if self.now.is_held else None
        for operation in self._reference().fault_run.operations:
            mark = ">" if held and held.key == operation.key else " "
            yield one_line(f"{mark}{operation.n:4}  {operation.key}")

    def _diff(self) -> Iterable[str]:
        """Facts that C13 compares."""
        setup, healthy, driven = self._trial.setup, self._reference().after, self.now.driven
        if healthy is None:
            raise UsageError(NO_REFERENCE)
        expectation = driven.adapter.expectation(setup.options, setup.deadline)
        found = compared(expectation, driven.adapter.kind, driven.observe(), healthy, "C13")
        return [one_line(str(each)) for each in found] or [
            "nothing differs from the state after an init without faults"
        ]

    def _reference(self) -> Evidence:
        if self._healthy is None:
            raise UsageError(NO_REFERENCE)
        return self._healthy

    def _fork(self, name: str) -> Iterable[str]:
        if not NAME.fullmatch(name):
            raise UsageError("a moment's name is of letters, digits and '._-', 40 at most.")
        if name in self._forks:
            self._forks.pop(name)[1].close()
        if len(self._forks) >= FORKS:
            raise UsageError(f"{FORKS} moments have a name, and that is the limit: use one of the names again.")
        self._forks[name] = self.now.moved(self.machine), self.machine.fork()
        return [f"':back {name}' comes back to this moment: {self.now.place}"]

    def _back(self, name: str = "") -> Iterable[str]:
        if name and name not in self._forks:
            raise UsageError(f"there is no moment '{name}': ':fork {name}' makes one, ':forks' tells which there are.")
        before = self.machine
        if name:
            moment, template = self._forks[name]
            self.now = moment.moved(template.clone(forkable=True))
        else:
            self.now = self._from_the_start()
        before.close()
        return [self.now.place]

    def _from_the_start(self) -> Moment:
        recording, driven = self._hold()
        return Moment(driven, recording.state.get("gate", ""), recording.operation)

    def _get(self, source: str, to: str) -> Iterable[str]:
        """Copy a file from the machine, in the place of none of the host's."""
        target = Path(to)
        content = self.machine.get(source)
        self._ask(f"write {len(content)} bytes, '{source}' of the machine, into '{target.absolute()}' on this host")
        try:
            with target.open("xb") as file:
                file.write(content)
        except OSError as error:
            raise UsageError(f"'{target}' cannot be written: {error.strerror}.") from error
        return [f"'{target}': {len(content)} bytes"]

    def _put(self, source: Path, target: str) -> Iterable[str]:
        self._ask(f"give the machine '{source.absolute()}' of this host, as '{target}'")
        self.machine.put(source, target)
        return [f"'{target}' is in the machine"]

    def _ask(self, what: str) -> None:
        if not self.may(what):
            raise UsageError("nothing was copied.")


def _reported(run: Any) -> Iterable[str]:
    said = (run.stdout + run.stderr).rstrip("\n")
    return [*([said] if said else []), one_line(f"(operations: {len(run.operations)}; the init {ending(run)})")]


def told(error: CrashinitError | OSError | ValueError) -> str:
    """What went wrong with a word, in a line."""
    said = f"'{error.filename}': {error.strerror}" if isinstance(error, OSError) else str(error)
    return printable(f"error: {said}\n", None)
