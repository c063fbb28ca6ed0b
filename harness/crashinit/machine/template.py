"""Templates and the machines cloned from them.

A frozen machine is four things: a memory file, the saved state of CPU and devices, the layers of its disk, and
the shape of the QEMU that runs it. A clone maps the memory privately (copy on write by the host's kernel) and
writes to a new layer of its own. A fork copies the memory of a stopped machine; the machine then goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from crashinit.errors import MachineError
from crashinit.machine.by_agent import GRACE, ByAgent
from crashinit.machine.channel import Channel
from crashinit.machine.files import File
from crashinit.machine.qemu import Hardware, Kernel, Layer, Qemu

BOOT_TIMEOUT = 180.0  # seconds from power-on to the agent's answer; some 6 of them are needed on an idle host
PLUG_TIMEOUT = 20.0  # seconds until a disk that was plugged in has its node


@dataclass(frozen=True)
class Disk:
    """A root disk as a machine finds it: layers, lowest first, and an empty one to be copied for what it writes."""

    layers: tuple[Layer, ...]
    empty: File

    def overlay(self) -> File:
        return self.empty.copied_to(File.on_disk())


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
    ) -> None:
        """Start it and wait for its agent; see Qemu for `private` and `state`. Raises HostError, MachineError."""
        super().__init__()
        self._hardware = hardware
        self._kernel = kernel
        self._disk = disk
        self._overlay = disk.overlay()
        self._ram = None if private else ram
        layers = (*disk.layers, Layer(self._overlay, "qcow2"))
        self._qemu = Qemu(hardware, kernel, layers, ram, private=private, state=state)
        self._channel = Channel(self._qemu.agent, self._qemu.why)
        try:
            self._channel.hello(BOOT_TIMEOUT)
        except BaseException:
            self.close()
            raise

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
        self._channel.hello(BOOT_TIMEOUT)

    def fork(self) -> "QemuTemplate":
        self._require_open()
        if self._ram is None:
            raise MachineError("this machine cannot be forked: it was cloned without 'forkable'")
        if self._qemu.plugged:
            raise MachineError("this machine cannot be forked: its plugged-in disks would not come along")
        self._qemu.command("stop")
        try:
            state = self._qemu.save()
            ram = self._ram.copied_to(File.in_memory("ram"))
            overlay = self._overlay.copied_to(File.on_disk()).reopened()
        finally:
            self._qemu.command("cont")
        disk = Disk((*self._disk.layers, Layer(overlay, "qcow2")), self._disk.empty)
        return QemuTemplate(Frozen(self._hardware, self._kernel, disk, ram, state))

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

    def __init__(self, frozen: Frozen) -> None:
        self._frozen: Frozen | None = frozen

    @property
    def frozen(self) -> Frozen:
        if self._frozen is None:
            raise MachineError("this template is closed")
        return self._frozen

    def clone(self, *, forkable: bool = False) -> QemuMachine:
        frozen = self.frozen
        if forkable:
            ram = frozen.ram.copied_to(File.in_memory("ram"))
        else:
            ram = frozen.ram.sealed()
            self._frozen = replace(frozen, ram=ram)
        return QemuMachine(frozen.hardware, frozen.kernel, frozen.disk, ram, private=not forkable, state=frozen.state)

    def derive(self, prepare: Callable[[QemuMachine], None]) -> "QemuTemplate":
        with self.clone(forkable=True) as machine:
            prepare(machine)
            machine.run("sync").check()
            return machine.fork()

    def memory(self) -> int:
        """Bytes of memory (of disk, for a template of the cache) that the frozen memory takes."""
        return self.frozen.ram.used()

    def close(self) -> None:
        self._frozen = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
