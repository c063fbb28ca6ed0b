"""The driver in one machine: how it is started, ended and looked at there."""

import hashlib
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crashinit.adapters import Adapter
from crashinit.adapters.around import Around
from crashinit.adapters.disk import Disk
from crashinit.adapters.udev import Udev
from crashinit.contract.said import ending, occupation, plainest, quoted, succeeded, way
from crashinit.errors import DriverError, GuestError, UsageError
from crashinit.machine.protocol import Completed, Machine
from crashinit.model.observation import Exercise, Observation, Run
from crashinit.model.trial import Setup

if TYPE_CHECKING:
    from crashinit.adapters.beside import Beside

GRACE = 30.0  # seconds that the agent gets beyond the deadline of what it runs
USER_DATA = "crashinit-user-data"  # the device that a populated root holds
PAYLOAD = "crashinit-payload"  # the file in it
PAYLOAD_SIZE = 1 << 20  # bytes of known data in it
NO_PROGRAM = "there is no program"  # what the gate says of a command that the machine does not have
ENDED_EARLY = 1  # exit status of a daemon that ends "with success" before it is ready: that is a failure


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

    @contextmanager
    def of(self, machine: Machine) -> Iterator[None]:
        """Record how long what is done inside takes by the machine's own clock, if it tells: the part `guest_clock`."""
        begin = machine.elapsed
        try:
            yield
        finally:
            if begin is not None and machine.elapsed is not None:
                self.parts["guest_clock"] = machine.elapsed - begin


class Driven:
    """The driver in one machine: its runs and what the probe sees of it."""

    def __init__(self, machine: Machine, adapter: Adapter, setup: Setup, seconds: Seconds | None = None) -> None:
        self.machine = machine
        self.adapter = adapter
        self.setup = setup
        self.seconds = seconds or Seconds()
        self.stops: list[Run] = []  # the ends of daemons ahead of another init
        self.struck: list[Run] = []  # inits that were struck ahead of the one that counts
        self._daemon: str | None = None  # the gate of the daemon that runs
        self.beside: Beside | None = None  # who else is in the machine
        self.around = Around(machine, adapter.root, setup.surroundings)
        self.disk = Disk(machine, adapter.whole) if setup.on_a_disk else None
        self.reached: int | None = None  # of a fault on that disk: how many requests it struck
        self.udev: Udev | None = None  # how udevd behaves, if not as it does

    def begin_init(self, stop: str | int, *, reads: bool = False) -> dict[str, Any]:
        """Start the init under the gate; the gate's state when it is held, has ended, or is ready.

        With `reads` what only asks is an operation as well; each stop costs the machine time.

        A daemon that runs is ended first, in the orderly way: its init is its start. How it ended stays in `stops`.
        """
        if ended := self._stop():
            self.stops.append(ended)
        for words in self.adapter.before:
            self.command(words).check()
        argv = self.adapter.command(self.adapter.init, self.setup.options)
        try:
            state: dict[str, Any] = self._start(argv, stop, reads=reads)
        except GuestError as error:
            if NO_PROGRAM in str(error):
                raise UsageError(
                    f"the adapter '{self.adapter.name}': there is no program '{argv[0]}' in its machine: "
                    "name what brings it in [install]."
                ) from error
            raise
        return state

    def begin_command(self, words: tuple[str, ...], stop: str | int, *, reads: bool, **names: str) -> dict[str, Any]:
        """Start one of the driver's own commands under the gate; its state when it is held or has ended."""
        argv = self.adapter.command(words, self.setup.options, **names)
        started: dict[str, Any] = self._start(argv, stop, reads=reads, ready=None)
        return started

    def _start(self, argv: list[str], stop: str | int, *, reads: bool, **more: Any) -> Any:
        ready = self.adapter.ready.condition if self.adapter.ready else None
        return self.machine.call(
            "gate_start",
            timeout=self.setup.deadline + GRACE,
            argv=argv,
            env={},
            root=self.adapter.root,
            deadline=self.setup.deadline,
            stop=stop,
            reads=reads,
            settles=self.udev is not None and self.udev.settles,
            **self.around.limits,
            **{"ready": ready, **more},
        )

    def begin_second_init(self, patience: float) -> dict[str, Any]:
        """Start one more init while another is held; its state when it has ended, or after so many seconds."""
        argv = self.adapter.command(self.adapter.init, self.setup.options)
        started: dict[str, Any] = self._start(argv, "never", reads=False, patience=patience)
        return started

    def finish(self, gate: Any) -> Run:
        """The record of a gated run."""
        run = Run.model_validate(self.machine.call("gate_finish", timeout=GRACE, gate=gate))
        if run.exit is None and not run.hung:
            self._daemon = gate
        elif run.exit == 0 and self.adapter.ready:
            run = run.model_copy(update={"exit": ENDED_EARLY, "early": True})
        return run

    def init(self, *, reads: bool = False) -> Run:
        """One init from start to end; see `begin_init` for `reads`."""
        with self.seconds.part("init"):
            run = self.finish(self.begin_init("never", reads=reads)["gate"])
        self.seconds.guest += run.seconds
        return run

    def next_init(self) -> Run:
        """An init after the fault; who is to let go in the midst of it or after it does."""
        self.let_go("during")
        if self.udev:
            self.udev.ahead_of_an_init()
        run = self.init()
        self.let_go("after")
        return run

    def let_go(self, moment: str) -> bool:
        """Whoever is to let go at this moment does; whether nobody else is there then."""
        return self.beside is None or self.beside.let_go(moment)

    def shutdown(self) -> Run | None:
        """The driver's own orderly end: SIGTERM for a daemon, then the shutdown command if there is one.

        None when there is nothing to end: a daemon that does not run any more, and no command.
        """
        with self.seconds.part("shutdown"):
            run = self._stop()
            if self.adapter.shutdown and (run is None or succeeded(run)):
                run = self._shutdown_command()
        self.seconds.guest += run.seconds if run else 0.0
        return run

    def reboot(self) -> None:
        """Restart the machine in an orderly way; nothing that ran there runs any more."""
        self.machine.reboot()
        self._daemon = None
        if self.disk:
            self.disk.attach()
        self.machine.call("mark")

    def _stop(self) -> Run | None:
        """End the daemon, if one runs."""
        if self._daemon is None:
            return None
        gate, self._daemon = self._daemon, None
        deadline = self.setup.deadline
        ended = self.machine.call("gate_stop", timeout=deadline + GRACE, gate=gate, deadline=deadline)
        return Run.model_validate(ended) if ended else None

    def _shutdown_command(self) -> Run:
        argv = self.adapter.command(self.adapter.shutdown, self.setup.options)
        done = self.machine.run(*argv, timeout=self.setup.deadline)
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
        asked = {"digests": digests, "after_shutdown": after_shutdown}
        observation = Observation.model_validate(self._ask("probe", asked))
        if self.disk:
            observation = self.disk.apart(observation)
        return self.beside.apart(observation) if self.beside else observation

    def facts(self) -> dict[str, Any]:
        """Digests of what the next init will find; see guest/facts.py."""
        with self.seconds.part("facts"):
            found: dict[str, Any] = self.machine.call("facts", timeout=GRACE, root=self.adapter.root)
        return found

    def exercise(self) -> Exercise:
        """Use the base as a container engine would: snapshot, mount, write, read back, remove."""
        return Exercise.model_validate(self._ask("exercise", {}))

    def _ask(self, call: str, spec: dict[str, Any]) -> Any:
        begin = time.monotonic()
        with self.seconds.part(call):
            answer = self.machine.call(
                call,
                timeout=self.setup.deadline + GRACE,
                spec={**self.adapter.probed(), **spec},
            )
        self.seconds.guest += time.monotonic() - begin
        return answer

    def used_root(self) -> Observation:
        """Make the root a used one: initialised, with known data, and shut down; what it looked like before that.

        Raises DriverError when the driver fails at it.
        """
        self.machine.call("mark")  # who comes from here on is the driver's
        self.populate()
        before = self.observe(digests=True)
        self.end()
        return before

    def end(self) -> None:
        """Shut the driver down, to begin from there. Raises DriverError when that fails without a fault."""
        ended = self.shutdown()
        if ended is None:
            raise DriverError("without any fault, the daemon had ended before it was to be shut down")
        if not succeeded(ended):
            raise DriverError(f"without any fault, the shutdown {ending(ended)}")

    def populate(self) -> None:
        """Initialise the root and put known data into a device of its own.

        Raises DriverError when the driver fails at it, UsageError when the adapter does not say how.
        """
        if self.adapter.users is None:
            raise UsageError(
                f"the adapter '{self.adapter.name}' does not say in [volume] how a user's volume is made, so it has no "
                "used root to begin from."
            )
        run = self.init()
        if said := trouble(run, self.adapter, self.setup):
            raise DriverError(f"without any fault, the root cannot be populated: {said}")
        self.make_volume(USER_DATA)

    def make_volume(self, name: str) -> None:
        """A user's volume with known data in it. Raises DriverError when the driver fails at it."""
        users = self.adapter.users
        if users is None:
            raise UsageError(f"the adapter '{self.adapter.name}' does not say in [volume] how a volume is made.")
        try:
            self.command(users.create, id=name).check()
            printed = self.command(users.mount, id=name).check().stdout.strip().splitlines()
            if not printed:
                raise DriverError("without any fault, the root cannot be populated: 'mount' printed no mount point")
            self.machine.put(payload(), f"{printed[-1]}/{PAYLOAD}")
            self.command(users.unmount, id=name).check()
        except GuestError as error:
            raise DriverError(f"without any fault, the root cannot be populated: {error}") from error

    def holds_payload(self, directory: str) -> bool:
        """Whether the known data is there, byte for byte."""
        done = self.machine.run("sha256sum", f"{directory}/{PAYLOAD}", timeout=self.setup.deadline)
        return done.stdout.partition(" ")[0] == hashlib.sha256(payload()).hexdigest()

    def command(self, words: tuple[str, ...], **names: str) -> Completed:
        """One of the driver's own commands, without a gate."""
        argv = self.adapter.command(words, self.setup.options, **names)
        return self.machine.run(*argv, timeout=self.setup.deadline)


def payload() -> bytes:
    """PAYLOAD_SIZE bytes that do not compress and are the same on every day: a chain of SHA-256 digests."""
    block = hashlib.sha256(b"crashinit").digest()
    out = bytearray()
    while len(out) < PAYLOAD_SIZE:
        out += block
        block = hashlib.sha256(block).digest()
    return bytes(out)


def trouble(run: Run, adapter: Adapter, setup: Setup) -> str:
    """One sentence that says how an init without faults failed; "" if it did not."""
    if succeeded(run):
        return ""
    how = way(run)
    if run.timed_out and not run.hung and adapter.ready:
        how = f"was not ready within {setup.deadline:g} s{occupation(run)}: {adapter.ready}"
    elif run.timed_out and not run.hung:
        how = f"did not end within {setup.deadline:g} s{occupation(run)}"
    return f"'{shlex.join(run.argv)}' {how}; it said: {quoted(plainest(run)) or 'nothing'}"
