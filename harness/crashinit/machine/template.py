"""Templates and the machines cloned from them.

A frozen machine is four things: a memory file, the saved state of CPU and devices, the layers of its disk, and
the shape of the QEMU that runs it. A clone maps the memory privately (copy on write by the host's kernel) and
writes to a new layer of its own. A fork copies the memory of a stopped machine; the machine then goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from crashinit.errors import MachineError
from crashinit.machine.by_agent import GRACE, ByAgent
from crashinit.machine.channel import Channel
from crashinit.machine.files import File
from crashinit.machine.mailbox import Mailbox
from crashinit.machine.protocol import Time
from crashinit.machine.qemu import Hardware, Kernel, Layer, Qemu

BOOT_TIMEOUT = 180.0  # seconds from power-on to the agent's answer; some 6 of them are needed on an idle host
DERIVED = "derived"  # the seed of a machine that is prepared to be a template
PLUG_TIMEOUT = 20.0  # seconds until a disk that was plugged in has its node


class Disk(Protocol):
    """A root disk as a machine finds it."""

    def opened(self, *, private: bool) -> tuple[Layer, ...]:
        """What a machine gets, lowest first; it writes to the last one, or `private`ly to none."""

    def kept(self, written: Layer) -> "Disk":
        """The disk as a machine that stands still has written it."""

    @property
    def written(self) -> File:
        """What a machine has written of it last."""


@dataclass(frozen=True)
class LayeredDisk:
    """Layers, lowest first, and an empty one to be copied for what a machine writes."""

    layers: tuple[Layer, ...]
    empty: File

    def opened(self, *, private: bool) -> tuple[Layer, ...]:
        """See Disk."""
        return (*self.layers, Layer(self.empty.copied_to(File.on_disk()), "qcow2"))

    def kept(self, written: Layer) -> "LayeredDisk":
        """See Disk."""
        return LayeredDisk((*self.layers, _copy(written)), self.empty)

    @property
    def written(self) -> File:
        """See Disk."""
        return self.layers[-1].file


@dataclass(frozen=True)
class MemoryDisk:
    """A file that the machine finds in its address space (NVDIMM): whoever reads or writes it never waits."""

    file: File

    def opened(self, *, private: bool) -> tuple[Layer, ...]:
        """See Disk."""
        return (Layer(self.file.sealed() if private else self.file.copied_to(File.in_memory("root")), "memory"),)

    def kept(self, written: Layer) -> "MemoryDisk":
        """See Disk."""
        return MemoryDisk(written.file.copied_to(File.in_memory("root")))

    @property
    def written(self) -> File:
        """See Disk."""
        return self.file


def _copy(written: Layer) -> Layer:
    return Layer(written.file.copied_to(File.on_disk()).reopened(), written.format)


@dataclass(frozen=True)
class Frozen:
    """What all clones of one template share."""

    hardware: Hardware
    kernel: Kernel
    disk: Disk
    ram: File
    state: File


class QemuMachine(ByAgent):
    """A machine under QEMU; see machine/protocol.py for what each method promises."""

    def __init__(
        self,
        hardware: Hardware,
        kernel: Kernel,
        disk: Disk,
        ram: File,
        *,
        private: bool = False,
        state: File | None = None,
        seed: str | None = None,
        elapsed: float = 0.0,
    ) -> None:
        """Start it and wait for its agent; see Qemu for `private` and `state`, Channel for `seed` and `elapsed`.

        Raises HostError, MachineError.
        """
        super().__init__()
        self._hardware = hardware
        self._kernel = kernel
        self._disk = disk
        self._seed = seed
        layers = disk.opened(private=private)
        self._written = layers[-1]
        self._ram = None if private else ram
        self._qemu = qemu = Qemu(hardware, kernel, layers, ram, private=private, state=state)
        if hardware.virtual:
            line = (qemu.mailbox, qemu.agent, qemu.why, qemu.go, qemu.await_pause)
            self._channel: Channel = Mailbox(*line, running=state is None)
        else:
            self._channel = Channel(qemu.agent, qemu.why)
        self._channel.elapsed = elapsed
        try:
            self._channel.hello(BOOT_TIMEOUT, seed)
        except BaseException:
            self.close()
            raise

    @property
    def time(self) -> Time:  # type: ignore[override]
        return "virtual" if self._hardware.virtual else "real"

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
        if self._ram is None:
            raise MachineError("this machine cannot be forked: it was cloned without 'forkable'")
        if self._qemu.plugged:
            raise MachineError("this machine cannot be forked: its plugged-in disks would not come along")
        if not self._hardware.virtual:
            self._qemu.command("stop")
        try:
            state = self._qemu.save()
            ram = self._ram.copied_to(File.in_memory("ram"))
            disk = self._disk.kept(self._written)
        finally:
            if not self._hardware.virtual:
                self._qemu.go()
        return QemuTemplate(Frozen(self._hardware, self._kernel, disk, ram, state), self._seed, self.elapsed)

    def plug(self, disk: File, serial: str, log: File | None = None) -> str:
        self._require_open()
        self._qemu.plug(disk, serial, log)
        node: str = self._ask("disk", {"serial": serial, "timeout": PLUG_TIMEOUT}, PLUG_TIMEOUT + GRACE)["node"]
        return node

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._qemu.kill()

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
        return self._clone(self._seed if seed is None else str(seed), forkable=forkable)

    def derive(self, prepare: Callable[[QemuMachine], None]) -> "QemuTemplate":
        # Not of the machines' own seed: what is derived is the same for all of them.
        with self._clone(None if self._seed is None else DERIVED, forkable=True) as machine:
            prepare(machine)
            machine.run("sync").check()
            return QemuTemplate(machine.fork().frozen, self._seed)

    def _clone(self, seed: str | None, *, forkable: bool) -> QemuMachine:
        frozen = self.frozen
        if forkable:
            ram = frozen.ram.copied_to(File.in_memory("ram"))
        else:
            ram = frozen.ram.sealed()
            self._frozen = replace(frozen, ram=ram)
        return QemuMachine(
            frozen.hardware,
            frozen.kernel,
            frozen.disk,
            ram,
            private=not forkable,
            state=frozen.state,
            seed=seed,
            elapsed=self._elapsed,
        )

    def memory(self) -> int:
        """Bytes of memory (of disk, for a template of the cache) that the frozen memory takes."""
        return self.frozen.ram.used()

    def close(self) -> None:
        self._frozen = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
