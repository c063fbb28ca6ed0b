"""The host's own libvirt, where it runs: used as it is, and left as it was found.

What a campaign puts into it bears names by which it can be told from everybody else's: the VM that of its run's
directory, the box's disk and the network those below.
"""

import re
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from crashinit.machine.guests.image import tool_path

# The monolithic daemon's and the modular one's, which systemd listens on (libvirtd(8), virtqemud(8)).
SOCKETS = (Path("/run/libvirt/libvirt-sock"), Path("/run/libvirt/virtqemud-sock"))
POOL = "default"  # where vagrant-libvirt puts disks unless it is told otherwise
NETWORK = "crashinit"  # of our VMs; vagrant-libvirt makes it, and does not always remove it
ADDRESS = "192.168.127.0/24"  # neither libvirt's own network nor vagrant-libvirt's
VM = re.compile(r"run-\w+-default")
BOX_DISK = re.compile(r"crashinit-[0-9a-f]{16}_vagrant_box_image_\S*")


class HostLibvirt:
    """The host's own libvirt, or none at all where machines come from elsewhere."""

    def beside(self, argv: Sequence[str]) -> list[str]:
        return list(argv)

    def network(self, argv: Sequence[str]) -> list[str]:
        return list(argv)

    def close(self) -> None:
        """It goes on: it was there before."""


def answers(path: Path) -> bool:
    """Whether somebody listens at this socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def host_has_libvirt() -> bool:
    """Whether this host's own libvirt answers."""
    return any(answers(path) for path in SOCKETS)


def ready_for_box(name: str) -> bool:
    """Whether box and network are there, so that a VM that comes up has neither to make: Vagrant does that unlocked."""
    return any(disk.startswith(f"{name}_") for disk in _box_disks()) and NETWORK in _virsh("net-list", "--name")


def remove_vm(run: str) -> None:
    """End the VM of a run that did not end it itself; without one, nothing happens."""
    name = f"{run}-default"
    if name in _virsh("list", "--all", "--name"):
        _virsh("destroy", name)
        _virsh("undefine", name, "--snapshots-metadata", "--managed-save", "--remove-all-storage")


def remove_shared() -> None:
    """Remove what VMs share, the boxes' disks and the network, if no VM of ours is left."""
    if any(VM.fullmatch(name) for name in _virsh("list", "--all", "--name")):
        return
    for disk in _box_disks():
        _virsh("vol-delete", "--pool", POOL, disk)
    if NETWORK in _virsh("net-list", "--all", "--name"):
        _virsh("net-destroy", NETWORK)
        _virsh("net-undefine", NETWORK)


def _box_disks() -> list[str]:
    return [word for word in _virsh("vol-list", "--pool", POOL) if BOX_DISK.fullmatch(word)]


def _virsh(*words: str) -> list[str]:
    """The words that virsh answers; none where it fails, for what it was to remove may be gone."""
    program = tool_path("virsh")
    if program is None:
        return []
    argv = [program, "-q", "-c", "qemu:///system", *words]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout.split()
