"""Where libvirt comes from: the host's own daemon if one answers, else a private one that dies with this process.

The private one lives in mount, network and pid namespaces of its own (namespaces(7)): machines, their network, the
DHCP server and the daemon's files exist only in there, and end with the namespaces' first process, which bears a
parent-death signal. Nothing has to be removed after a SIGKILL but the directory on the disk.

    python -m crashinit.machine.vagrant.libvirtd [COMMAND ...]

runs a command, by default a shell, beside the one or the other: for people, and for scripts that work on every host.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from crashinit.errors import CrashinitError, HostError
from crashinit.machine import owned
from crashinit.machine.vagrant.host_libvirt import host_has_libvirt
from crashinit.machine.vagrant.rundir import RunDirectory

SCRIPT = Path(__file__).parent / "libvirtd.sh"


class Libvirt(Protocol):
    """A libvirt to give commands to."""

    def beside(self, argv: Sequence[str]) -> list[str]:
        """The command, as it has to be run to see the daemon's files and processes."""

    def network(self, argv: Sequence[str]) -> list[str]:
        """The command, as it has to be run to reach the machines' addresses."""

    def close(self) -> None: ...


class PrivateLibvirt:
    """A libvirtd of this process's own."""

    def __init__(self, storage: Path) -> None:
        """Start it; `storage` is an empty directory for the machines' disks. Raises HostError."""
        if os.geteuid() != 0:
            raise HostError(
                "no libvirtd runs on this host, and starting a private one needs root: "
                "start the host's with 'systemctl start libvirtd', or run crashinit with 'sudo -E'"
            )
        log = storage.with_name("libvirtd.log")
        with log.open("wb") as said:
            apart = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=SIGKILL"]
            self._process = owned.spawn(
                [*apart, "sh", str(SCRIPT), str(storage)], stdout=subprocess.PIPE, stderr=said.fileno()
            )
        assert self._process.stdout is not None
        with self._process.stdout as answer:
            ready = answer.readline() == b"ready\n"
        if not ready:
            self.close()
            lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise HostError(f"a private libvirtd does not start on this host: {lines[-1]}")
        self._pid = _only_child(self._process.pid)

    @property
    def pid(self) -> int:
        """The first process of the namespaces."""
        return self._pid

    def beside(self, argv: Sequence[str]) -> list[str]:
        here = f"--wdns={Path.cwd()}"
        return ["nsenter", f"--target={self._pid}", "--mount", "--net", "--pid", here, "--", *argv]

    def network(self, argv: Sequence[str]) -> list[str]:
        return ["nsenter", f"--target={self._pid}", "--net", "--", *argv]

    def close(self) -> None:
        """End the daemon and all its machines at once; closing twice does nothing."""
        self._process.kill()  # unshare's child, the first process of the namespaces, goes with it
        self._process.wait()


def _only_child(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def main(argv: Sequence[str]) -> int:
    """Run a command beside a libvirtd; its exit status. The machines of a private one end with the command."""
    words = list(argv) or [os.environ.get("SHELL", "/bin/sh")]
    if host_has_libvirt():
        return subprocess.run(words, check=False).returncode
    run = RunDirectory()
    try:
        daemon = PrivateLibvirt(run.storage)
        try:
            # Vagrant's notes on a VM that ends with the daemon must not stay in the checkout.
            environment = {**os.environ, "VAGRANT_DOTFILE_PATH": str(run.path / "state")}
            return subprocess.run(daemon.beside(words), env=environment, check=False).returncode
        finally:
            daemon.close()
    finally:
        run.remove()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except CrashinitError as problem:
        sys.exit(f"crashinit: error: {problem}")
