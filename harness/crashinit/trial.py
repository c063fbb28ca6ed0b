"""One trial: a recorded init is stopped at a boundary and forked there; in the fork the fault strikes, the driver
starts again, and the probe looks.

A recorded init goes forward only. Trials that come in the order of the trace share one: each worker pays for one
init, and per boundary for what comes after it.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from crashinit.adapters import Adapter
from crashinit.contract.observation import Evidence, Exercise, Observation, OperationRecord, Run
from crashinit.errors import GuestError
from crashinit.machine.protocol import Machine, Provider, Template
from crashinit.plan import Setup, Trial

GRACE = 30.0  # seconds that the agent gets beyond the deadline of what it runs
USER_DATA = "crashinit-user-data"  # the device that a populated root holds
PAYLOAD_SIZE = 1 << 20  # bytes of known data in it


@dataclass
class Seconds:
    """How long the parts of a trial took; `guest` is what the driver and the probe themselves used of it."""

    parts: dict[str, float] = field(default_factory=dict)
    guest: float = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time spent inside to the part of that name."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.parts[name] = self.parts.get(name, 0.0) + time.monotonic() - begin


class Recording:
    """One init without faults, held at a boundary, in a machine that can be forked there."""

    def __init__(self, machine: Machine, state: dict[str, Any], setup: Setup) -> None:
        self.machine = machine
        self.setup = setup
        self.state = state
        self._fork: tuple[str, Template] | None = None

    @property
    def operation(self) -> OperationRecord | None:
        """The operation before which the init is held; None when it has ended."""
        held = self.state["operation"]
        return OperationRecord.model_validate(held) if held else None

    def forward(self, stop: str) -> None:
        """Go on to the operation of that key, or to the end when it does not come."""
        self._drop_fork()
        self.state = self.machine.call(
            "gate_resume", timeout=self.setup.deadline + GRACE, gate=self.state["gate"], stop=stop
        )

    def fork(self) -> Template:
        """A template of this very moment; kept until the recording moves on."""
        key = self.operation.key if self.operation else ""
        if self._fork is None or self._fork[0] != key:
            self._drop_fork()
            self._fork = (key, self.machine.fork())
        return self._fork[1]

    def close(self) -> None:
        """End the machine."""
        self._drop_fork()
        self.machine.close()

    def _drop_fork(self) -> None:
        if self._fork:
            self._fork[1].close()
            self._fork = None


class Driven:
    """The driver in one machine: its runs and what the probe sees of it."""

    def __init__(self, machine: Machine, adapter: Adapter, setup: Setup, seconds: Seconds | None = None) -> None:
        self.machine = machine
        self.adapter = adapter
        self.setup = setup
        self.seconds = seconds or Seconds()

    def begin_init(self, stop: str) -> dict[str, Any]:
        """Start the init under the gate; the gate's state when it is held or has ended."""
        state: dict[str, Any] = self.machine.call(
            "gate_start",
            timeout=self.setup.deadline + GRACE,
            argv=self.adapter.command(self.adapter.init, self.setup.options),
            env={},
            root=self.adapter.root,
            deadline=self.setup.deadline,
            stop=stop,
        )
        return state

    def finish(self, gate: Any) -> Run:
        """The record of a gated run."""
        return Run.model_validate(self.machine.call("gate_finish", timeout=GRACE, gate=gate))

    def init(self) -> Run:
        """One init from start to end."""
        with self.seconds.part("init"):
            run = self.finish(self.begin_init("never")["gate"])
        self.seconds.guest += run.seconds
        return run

    def shutdown(self) -> Run:
        """The driver's own orderly end."""
        with self.seconds.part("shutdown"):
            done = self.machine.run(
                *self.adapter.command(self.adapter.shutdown, self.setup.options), timeout=self.setup.deadline
            )
        self.seconds.guest += done.seconds
        return Run(
            argv=list(done.argv),
            exit=done.exit,
            timed_out=done.timed_out,
            stdout=done.stdout,
            stderr=done.stderr,
            seconds=done.seconds,
            operations=[],
            uevents=[],
        )

    def observe(self, *, digests: bool = False, after_shutdown: bool = False) -> Observation:
        """The system's state as the probe sees it now."""
        return Observation.model_validate(self._ask("probe", {"digests": digests, "after_shutdown": after_shutdown}))

    def exercise(self) -> Exercise:
        """Use the base as a container engine would: snapshot, mount, write, read back, remove."""
        return Exercise.model_validate(self._ask("exercise", {}))

    def _ask(self, call: str, spec: dict[str, Any]) -> Any:
        begin = time.monotonic()
        with self.seconds.part(call):
            answer = self.machine.call(
                call,
                timeout=self.setup.deadline + GRACE,
                spec={"root": self.adapter.root, "format": self.adapter.metadata, **spec},
            )
        self.seconds.guest += time.monotonic() - begin
        return answer

    def populate(self) -> None:
        """Initialise the root and put known data into a device of its own; then shut down."""
        adapter = self.adapter
        if adapter.populate is None:
            raise GuestError(
                f"the adapter '{adapter.name}' has no [populate] part, so it has no used root to begin from."
            )
        self._must(adapter.init)
        self._must(adapter.populate.create, id=USER_DATA)
        target = self._must(adapter.populate.mount, id=USER_DATA).strip().splitlines()[-1]
        self.machine.put(payload(), f"{target}/crashinit-payload")
        self._must(adapter.populate.unmount, id=USER_DATA)

    def _must(self, words: tuple[str, ...], **names: str) -> str:
        argv = self.adapter.command(words, self.setup.options, **names)
        return self.machine.run(*argv, timeout=self.setup.deadline).check().stdout


def payload() -> bytes:
    """PAYLOAD_SIZE bytes that do not compress and are the same on every day: a chain of SHA-256 digests."""
    block = hashlib.sha256(b"crashinit").digest()
    out = bytearray()
    while len(out) < PAYLOAD_SIZE:
        out += block
        block = hashlib.sha256(block).digest()
    return bytes(out)


class TrialRunner:
    """Runs the trials of one driver, one after the other. A context manager: leaving it ends every machine.

    One belongs to one process: the machines that it starts end when that process ends.
    """

    def __init__(self, provider: Provider, adapter: Adapter) -> None:
        self.provider = provider
        self.adapter = adapter
        self._stack = ExitStack()
        self._driver: Template | None = None
        self._given: dict[str, tuple[Template, Observation | None]] = {}
        self._recording: Recording | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.forget()
        self._stack.close()

    def driver_template(self) -> Template:
        """A machine in which the driver is installed and has never run."""
        if self._driver is None:
            base = self._stack.enter_context(self.provider.template(self.adapter.install.packages))
            self._driver = self._stack.enter_context(base.derive(self.adapter.installed))
        return self._driver

    def given(self, setup: Setup) -> tuple[Template, Observation | None]:
        """The template that a setup's inits begin from, and what a used root looked like before it was shut down."""
        if setup.given == "fresh":
            return self.driver_template(), None
        key = repr((setup.given, setup.options))
        if key not in self._given:
            before: list[Observation] = []

            def prepare(machine: Machine) -> None:
                driven = Driven(machine, self.adapter, setup)
                driven.populate()
                before.append(driven.observe(digests=True))
                driven.shutdown()

            template = self._stack.enter_context(self.driver_template().derive(prepare))
            self._given[key] = (template, before[0])
        return self._given[key]

    def reference(self, setup: Setup) -> tuple[Evidence, dict[str, float]]:
        """A trial without a fault: its first init is the trace, its states are what the others are compared with."""
        template, before = self.given(setup)
        seconds = Seconds()
        with template.clone() as machine:
            machine.call("mark")
            driven = Driven(machine, self.adapter, setup, seconds)
            run = driven.init()
            evidence = self._examine(driven, "reference", run, None, before, [run], 1)
        return evidence, seconds.parts

    def run(self, trial: Trial) -> tuple[Evidence, dict[str, float]]:
        """One trial, and how long its parts took."""
        seconds = Seconds()
        begin = time.monotonic()
        with seconds.part("reach"):
            recording, before = self._record(trial)
        if recording.operation is None:
            run = Driven(recording.machine, self.adapter, trial.setup).finish(recording.state["gate"])
            self.forget()
            return _nothing_fired(trial, run, before), seconds.parts
        with seconds.part("fork"):
            machine = recording.fork().clone()
        with machine:
            driven = Driven(machine, self.adapter, trial.setup, seconds)
            with seconds.part("fault"):
                machine.call("gate_kill", gate=recording.state["gate"], victim=trial.victim)
                run = driven.finish(recording.state["gate"])
            evidence = self._examine(driven, trial.id, run, recording.operation, before, [], trial.restarts)
        seconds.parts["guest"] = seconds.guest
        seconds.parts["total"] = time.monotonic() - begin
        return evidence, seconds.parts

    def _examine(
        self,
        driven: Driven,
        trial: str,
        run: Run,
        fired: OperationRecord | None,
        before: Observation | None,
        reinits: list[Run],
        restarts: int,
    ) -> Evidence:
        """Start the driver until it succeeds, then look at it, use it, start it once more, and shut it down."""
        digests = before is not None
        while len(reinits) < restarts and not (reinits and succeeded(reinits[-1])):
            reinits.append(driven.init())
        after = driven.observe(digests=digests)
        again = after_again = exercise = shutdown = after_shutdown = None
        if reinits and succeeded(reinits[-1]):
            again = driven.init()
            after_again = driven.observe(digests=digests)
            exercise = driven.exercise()
            shutdown = driven.shutdown()
            after_shutdown = driven.observe(after_shutdown=True)
        return Evidence(
            trial=trial,
            fault_run=run,
            fired=fired,
            before=before,
            reinits=reinits,
            after=after,
            again=again,
            after_again=after_again,
            exercise=exercise,
            shutdown=shutdown,
            after_shutdown=after_shutdown,
        )

    def _record(self, trial: Trial) -> tuple[Recording, Observation | None]:
        """The recording held at the trial's boundary; it has ended when the boundary never came."""
        template, before = self.given(trial.setup)
        key = trial.point.operation
        recording = self._recording
        if recording and recording.setup == trial.setup and recording.operation:
            if recording.operation.key == key:
                return recording, before
            if recording.operation.n < trial.point.n:
                recording.forward(key)
                if recording.operation:
                    return recording, before
        self.forget()
        machine = template.clone(forkable=True)
        try:
            machine.call("mark")
            state = Driven(machine, self.adapter, trial.setup).begin_init(key)
        except BaseException:
            machine.close()
            raise
        self._recording = Recording(machine, state, trial.setup)
        return self._recording, before

    def forget(self) -> None:
        """End the recorded init, if there is one: the next trial makes its own."""
        if self._recording:
            self._recording.close()
            self._recording = None


def succeeded(run: Run) -> bool:
    """Whether an init reported success in time."""
    return run.exit == 0 and not run.timed_out


def _nothing_fired(trial: Trial, run: Run, before: Observation | None) -> Evidence:
    return Evidence(
        trial=trial.id,
        fault_run=run,
        fired=None,
        before=before,
        reinits=[],
        after=None,
        again=None,
        after_again=None,
        exercise=None,
        shutdown=None,
        after_shutdown=None,
    )
