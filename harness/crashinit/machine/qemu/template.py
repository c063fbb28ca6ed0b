"""Templates and the machines cloned from them.

A frozen machine is four things: what it has in memory, the saved state of CPU and devices, the layers of its disk, and
the shape of the QEMU that runs it. A clone maps the memory privately (copy on write by the host's kernel) and writes to
a new layer of its own. A fork copies the pages that a machine has written, and its layer, while it stands still; the
machine then goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from crashinit.errors import MachineError
from crashinit.machine.by_agent import GRACE, ByAgent
from crashinit.machine.channel import Channel
from crashinit.machine.files import File
from crashinit.machine.protocol import Time
from crashinit.machine.qemu import memory, qemu
from crashinit.machine.qemu.block import Layer
from crashinit.machine.qemu.mailbox import Mailbox
from crashinit.machine.qemu.memory import Memory
from crashinit.machine.qemu.qemu import Hardware, Kernel, Qemu

BOOT_TIMEOUT = 180.0  # seconds from power-on to the agent's answer; some 6 of them are needed on an idle host
DERIVED = "derived"  # the seed of a machine that is prepared to be a template
PLUG_TIMEOUT = 20.0  # seconds until a disk that was plugged in has its node


@dataclass(frozen=True)
class Frozen:
    """All that a machine is made of."""

    hardware: Hardware
    kernel: Kernel
    layers: tuple[Layer, ...]  # of the root disk, lowest first; in virtual time none: the disk is memory
    empty: File  # a layer to be copied for what a machine writes
    memories: Mapping[str, Memory]  # see Qemu
    state: File | None = None  # of CPU and devices; None: it is yet to be booted


class QemuMachine(ByAgent):
    """A machine under QEMU; see machine/protocol.py for what each method promises."""

    def __init__(
        self,
        frozen: Frozen,
        *,
        private: bool = False,
        forkable: bool = True,
        seed: str | None = None,
        elapsed: float = 0.0,
    ) -> None:
        """Start it and wait for its agent; see Qemu for `private`, Channel for `seed` and `elapsed`.

        Raises HostError, MachineError.
        """
        super().__init__()
        self._frozen = frozen
        self._private = private
        self._forkable = forkable
        self._seed = seed
        self._written = tuple(Layer(frozen.empty.copied_to(File.on_disk()), "qcow2") for _ in frozen.layers[:1])
        layers = (*frozen.layers, *self._written)
        self._qemu = qemu = Qemu(
            frozen.hardware, frozen.kernel, layers, frozen.memories, private=private, state=frozen.state
        )
        try:
            if frozen.hardware.virtual:
                line = (qemu.mailbox, qemu.agent, qemu.why, qemu.go, qemu.await_pause)
                self._channel: Channel = Mailbox(*line, running=frozen.state is None)
            else:
                self._channel = Channel(qemu.agent, qemu.why, qemu.panicked)
                if frozen.state is not None:
                    qemu.go()
            self._channel.elapsed = elapsed
            self._channel.hello(BOOT_TIMEOUT, seed)
        except BaseException:
            self.close()
            raise

    @property
    def time(self) -> Time:  # type: ignore[override]
        return "virtual" if self._frozen.hardware.virtual else "real"

    @property
    def kernel(self) -> str:  # type: ignore[override]
        return self._channel.kernel

    @property
    def elapsed(self) -> float:
        return self._channel.elapsed

    @property
    def pid(self) -> int:
        """The process id of this machine's QEMU."""
        return self._qemu.pid

    def console(self) -> str:
        self._require_open()
        return self._qemu.console()

    def power_cut(self) -> None:
        self._require_open()
        self._qemu.reset()
        self._channel.restarted()
        self._channel.hello(BOOT_TIMEOUT, self._seed)

    def fork(self) -> "QemuTemplate":
        self._require_open()
        if not self._forkable:
            raise MachineError("this machine cannot be forked: it was cloned without 'forkable'")
        try:
            frozen = self._as_it_stands()
            if not self._private:  # it will go on writing there
                copies = {name: Memory(each.whole(name)) for name, each in frozen.memories.items()}
                frozen = replace(frozen, memories=copies)
        finally:
            if not self._frozen.hardware.virtual:
                self._qemu.go()
        return QemuTemplate(frozen, self._seed, self.elapsed)

    def freeze(self) -> Frozen:
        """End this machine, and keep all of it."""
        self._require_open()
        frozen = self._as_it_stands()
        self.close()
        return frozen

    def plug(self, disk: File, serial: str, log: File | None = None) -> str:
        self._require_open()
        self._qemu.plug(disk, serial, log)
        node: str = self._ask("disk", {"serial": serial, "timeout": PLUG_TIMEOUT}, PLUG_TIMEOUT + GRACE)["node"]
        return node

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._qemu.kill()

    def _as_it_stands(self) -> Frozen:
        """What it is now. It stands still then."""
        if self._qemu.plugged:
            raise MachineError("this machine cannot be forked: its plugged-in disks would not come along")
        if not self._frozen.hardware.virtual:
            self._qemu.command("stop")
        state = self._qemu.save()
        kept = tuple(Layer(each.file.copied_to(File.on_disk()).reopened(), each.format) for each in self._written)
        layers = (*self._frozen.layers, *kept)
        return replace(self._frozen, layers=layers, memories=self._qemu.memories(), state=state)

    def _ask(self, name: str, arguments: Mapping[str, Any], timeout: float) -> Any:
        self._require_open()
        return self._channel.call(name, arguments, timeout)


class QemuTemplate:
    """A frozen machine; see machine/protocol.py for what each method promises."""

    def __init__(self, frozen: Frozen, seed: str | None = None, elapsed: float = 0.0) -> None:
        """`seed`: of all machines that are made from it; `elapsed`: seconds for which it was used before."""
        self._frozen: Frozen | None = frozen
        self._seed = seed
        self._elapsed = elapsed

    @property
    def frozen(self) -> Frozen:
        if self._frozen is None:
            raise MachineError("this template is closed")
        return self._frozen

    def clone(self, *, forkable: bool = False, seed: int | None = None) -> QemuMachine:
        own = self._seed if seed is None else str(seed)
        frozen = self.frozen
        if forkable and not memory.readable(qemu.user(frozen.hardware.accel)):
            return self._whole(own)
        memories = {name: each.sealed() for name, each in frozen.memories.items()}
        self._frozen = frozen = replace(frozen, memories=memories)
        return QemuMachine(frozen, private=True, forkable=forkable, seed=own, elapsed=self._elapsed)

    def derive(self, prepare: Callable[[QemuMachine], None]) -> "QemuTemplate":
        # Not of the machines' own seed: what is derived is the same for all of them.
        with self._whole(None if self._seed is None else DERIVED) as machine:
            prepare(machine)
            machine.run("sync").check()
            return QemuTemplate(machine.freeze(), self._seed)

    def memory(self) -> int:
        """Bytes of memory (of disk, for a template of the cache) that the frozen memory takes; of a fork, that it
        takes beyond what it was cloned from.
        """
        return sum(each.used() for each in self.frozen.memories.values())

    def _whole(self, seed: str | None) -> QemuMachine:
        """A machine with memory that it shares with nobody: whoever clones what becomes of it has one file to map."""
        memories = {name: Memory(each.whole(name)) for name, each in self.frozen.memories.items()}
        return QemuMachine(replace(self.frozen, memories=memories), seed=seed, elapsed=self._elapsed)

    def close(self) -> None:
        self._frozen = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
