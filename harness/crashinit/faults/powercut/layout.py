"""Layouts: which disks a driver's root lies on, beside the machine's own."""

from collections.abc import Sequence
from dataclasses import dataclass

from crashinit.adapters import Adapter
from crashinit.errors import UsageError
from crashinit.machine.files import File
from crashinit.machine.protocol import Machine, Pluggable
from crashinit.model.trial import Setup

MIB = 1 << 20
ROOT_SIZE = 384 * MIB  # bytes; the sparse files below the pool may be larger
SERIALS = ("crashinit-root", "crashinit-data", "crashinit-metadata")
NODES = ("/dev/vdb", "/dev/vdc", "/dev/vdd")  # in the order in which they are plugged in; vda is the machine's own
MAKE = {
    # The block size of disks of the usual size, and nothing that the kernel would write in the background later on.
    "ext4": ("mkfs.ext4", "-q", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0"),
    "xfs": ("mkfs.xfs", "-q"),
}


@dataclass(frozen=True)
class Layout:
    """A file system for the root, and whether the pool has block devices of its own."""

    name: str
    filesystem: str
    block: bool = False  # the family's own disks

    def sizes(self, adapter: Adapter) -> list[int]:
        """Bytes of each disk."""
        if not self.block:
            return [ROOT_SIZE]
        own = adapter.kind.own_disks
        return [ROOT_SIZE, *(own.sizes(adapter.expectation((), 0.0)) if own else ())]

    def options(self, adapter: Adapter) -> tuple[str, ...]:
        """Storage options that lead the driver to the disks."""
        own = adapter.kind.own_disks
        return own.options(NODES[1:]) if self.block and own else ()

    def adapted(self, adapter: Adapter) -> Adapter:
        """The adapter of a driver that has been led there: with the devices that the probe has to look at.

        Raises UsageError when the driver cannot be led there.
        """
        if self.name not in layouts_of(adapter):
            raise UsageError(
                f"the driver '{adapter.name}' takes no storage options that lead it to '{self.name}' disks."
            )
        if not self.block:
            return adapter
        own = adapter.kind.own_disks
        devices = adapter.devices.model_copy(update=dict(own.devices(NODES[1:])) if own else {})
        return adapter.model_copy(update={"devices": devices})

    def make_filesystem(self, machine: Machine) -> None:
        """Make the root's file system on its disk."""
        machine.run(*MAKE[self.filesystem], NODES[0]).check()

    def mount(self, machine: Machine, volume: str) -> None:
        """Mount the root's file system, which replays its journal. GuestError when that fails."""
        machine.run("mount", "--mkdir", "-t", self.filesystem, NODES[0], volume).check()


LAYOUTS = {
    layout.name: layout
    for layout in (Layout("ext4", "ext4"), Layout("xfs", "xfs"), Layout("block", "ext4", block=True))
}


def layouts_of(adapter: Adapter) -> list[str]:
    """The layouts to which a driver can be led: one that takes no storage options finds no disks of the pool's own."""
    led = adapter.kind.own_disks is not None and "{options}" in adapter.init
    return [layout.name for layout in LAYOUTS.values() if led or not layout.block]


def layout_of(setup: Setup) -> Layout:
    """The layout that a setup's `given` names, with or without '-populated'. Raises UsageError."""
    if setup.disks not in LAYOUTS:
        raise UsageError(f"there is no disk layout '{setup.given}' for power cuts: choose one of {', '.join(LAYOUTS)}.")
    return LAYOUTS[setup.disks]


def plug(machine: Machine, disks: Sequence[File], logs: Sequence[File] = ()) -> None:
    """Plug in disks, each with its log if there are logs. Raises UsageError, MachineError."""
    if not isinstance(machine, Pluggable):
        raise UsageError("this provider cannot plug disks into a machine: cut the power with '--provider qemu'.")
    for number, disk in enumerate(disks):
        node = machine.plug(disk, SERIALS[number], logs[number] if logs else None)
        if node != NODES[number]:
            raise UsageError(f"the disk '{SERIALS[number]}' became '{node}', not '{NODES[number]}'.")
