"""The provider 'qemu-virtual': machines whose time is a count of their instructions, and that a seed determines.

docs/determinism.md says what that is good for, and what it leaves out.
"""

from collections.abc import Callable
from typing import Any

from crashinit.machine.files import File
from crashinit.machine.guests.image import Image
from crashinit.machine.protocol import Provider
from crashinit.machine.provider import QemuProvider
from crashinit.machine.qemu.accel import Accel
from crashinit.machine.qemu.block import Layer
from crashinit.machine.qemu.memory import Memory
from crashinit.machine.qemu.qemu import Hardware
from crashinit.machine.qemu.template import Frozen
from crashinit.machine.seed import DEFAULT


class VirtualProvider(QemuProvider):
    """Machines in virtual time, under emulation: only there can instructions be counted."""

    name = "qemu-virtual"
    repeats = True

    def __init__(self, *, seed: str = DEFAULT, note: Callable[[str], None] = lambda text: None, **options: Any):
        """`seed`: any text."""
        super().__init__(note=note, **options)
        self.seed = seed

    def plugging(self) -> Provider | None:
        """In real time: a disk answers when the host comes to it."""
        return QemuProvider(guest=self.guest, memory=self._memory, note=self._note)

    def acceleration(self) -> Accel:
        """Emulation, whatever the host can do."""
        return Accel("tcg", "only an emulated machine's instructions can be counted")

    def hardware(self, base: Image) -> Hardware:
        """What its machines are made of."""
        return Hardware("tcg", self._memory, self._guest.words(), virtual=True)

    def disk(self, base: Image, written: File | None = None) -> tuple[tuple[Layer, ...], dict[str, Memory]]:
        """The root disk, which is memory."""
        return (), {"root": Memory(written or File.open(base.root))}

    def written(self, frozen: Frozen) -> File:
        """All of it."""
        return frozen.memories["root"].file
