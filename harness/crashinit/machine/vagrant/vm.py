"""One VM under Vagrant: up, snapshots, power, and the line to its agent. python-vagrant runs the commands."""

# python-vagrant has no annotations.
# mypy: disable-error-code="no-untyped-call"
import contextlib
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

from crashinit.errors import HostError, MachineError
from crashinit.machine.guests.image import search_path, tool_path
from crashinit.machine.guests.packages import checked
from crashinit.machine.vagrant import host_libvirt, ssh
from crashinit.machine.vagrant import settings as vagrant_settings
from crashinit.machine.vagrant.box import NAME, box
from crashinit.machine.vagrant.host_libvirt import HostLibvirt, host_has_libvirt
from crashinit.machine.vagrant.libvirtd import Libvirt, PrivateLibvirt
from crashinit.machine.vagrant.rundir import RunDirectory
from crashinit.machine.vagrant.settings import PREFIX, ROOT, setting

# python-vagrant warns when it is imported where there is no Vagrant; the provider says that in a sentence of its own.
logging.getLogger("vagrant").addHandler(logging.NullHandler())
import vagrant  # noqa: E402

CONNECT_TIMEOUT = 180.0  # seconds until the agent must answer; two of them are needed on an idle host
KEEP = 3  # boxes of ours that stay unpacked
TAIL = 3  # lines of Vagrant's output, or of the console, that an error shows


class Snapshot:
    """A state of the VM with its memory. Its name is given back when the last of those who hold it lets go."""

    def __init__(self, vm: "Vm", name: str) -> None:
        self._free = vm.free
        self.name = name

    def __del__(self) -> None:
        self._free.append(self.name)


class Vm:
    """A VM that is up, provisioned by the Vagrantfile, with its agent connected."""

    def __init__(
        self, packages: tuple[str, ...], accel: str, *, memory: int, note: Callable[[str], None] = lambda text: None
    ) -> None:
        """`memory` in MiB. Raises HostError, MachineError."""
        self.free: list[str] = []  # names of snapshots that nobody needs any more
        self._made = 0
        self._closed = False
        self._guest_of_host = False  # whether the VM is in the host's own libvirt
        self._connection: ssh.Connection | None = None
        self._run = RunDirectory()
        self._console = self._run.path / "console"
        self._ssh_config = self._run.path / "ssh_config"
        self._libvirt: Libvirt = HostLibvirt()
        packages = checked((*packages, *setting("packages").split()))
        try:
            provider = vagrant_settings.provider()
            self._guest_of_host = provider == "libvirt" and host_has_libvirt()
            environment = self._environment(provider, packages, accel, memory)
            if self._guest_of_host:
                self._run.share()
            elif provider == "libvirt":
                self._libvirt = PrivateLibvirt(self._run.storage)
            self._vagrant = Command(self._run.log, self._libvirt, environment)
            self._have_box(environment, packages, note)
            note("bringing a VM up with Vagrant, about a minute")
            with self._alone(environment[f"{PREFIX}BOX"]):
                self._vagrant.up()
            self._find()
        except BaseException:
            self.close()
            raise

    def call(self, name: str, arguments: Mapping[str, Any], timeout: float) -> Any:
        """One call of the agent; see Channel.call."""
        if self._connection is None:
            raise MachineError("the VM is not connected: what it was asked before has failed")
        return self._connection.channel.call(name, arguments, timeout)

    def save(self) -> Snapshot:
        """The state of now, memory included; the VM goes on."""
        if self.free:
            name = self.free.pop()
        else:
            self._made += 1
            name = f"crashinit-{self._made}"
        self._vagrant.save(name)
        return Snapshot(self, name)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to that state."""
        self._hang_up()
        self._vagrant.snapshot_restore(snapshot.name)
        self._connect()

    def power_cut(self) -> None:
        """Pull the plug, put it in again, and wait for the agent."""
        self._hang_up()
        self._vagrant.halt(force=True)
        self._vagrant.up()
        self._find()

    def console(self) -> str:
        """What the VM has printed on its serial console since it was started, or set back to a snapshot."""
        with contextlib.suppress(OSError):
            return self._console.read_text(errors="replace").replace("\r", "")
        return ""

    def close(self) -> None:
        """Destroy the VM and all that was made for it; closing twice does nothing."""
        if self._closed:
            return
        self._closed = True
        self._hang_up()
        if isinstance(self._libvirt, HostLibvirt) and hasattr(self, "_vagrant"):
            with contextlib.suppress(MachineError):
                self._vagrant.destroy()
        self._libvirt.close()  # a private one takes the VM with it
        if self._guest_of_host:
            host_libvirt.remove_vm(self._run.path.name)  # in case Vagrant was killed in the middle of something
        self._run.remove(host_libvirt.remove_shared if self._guest_of_host else lambda: None)

    def _environment(self, provider: str, packages: tuple[str, ...], accel: str, memory: int) -> dict[str, str]:
        """What the Vagrantfile and Vagrant itself are told."""
        settings = {
            "BOX": setting("box", NAME),
            "ACCEL": accel,
            "MEMORY": setting("memory", str(memory)),
            "PACKAGES": " ".join(packages),
            "PREFIX": f"{self._run.path.name}-",
            "CONSOLE": str(self._console),
            "GRACEFUL_HALT_TIMEOUT": "0",  # halting by force is a power cut
            **({"NETWORK": f"{host_libvirt.NETWORK} {host_libvirt.ADDRESS}"} if self._guest_of_host else {}),
        }
        return {
            **os.environ,
            **{PREFIX + name: value for name, value in settings.items()},
            "PATH": search_path(),
            "VAGRANT_DEFAULT_PROVIDER": provider,
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "VAGRANT_DOTFILE_PATH": str(self._run.path / "state"),
            "VAGRANT_HOME": str(self._run.home),
        }

    def _have_box(self, environment: dict[str, str], packages: tuple[str, ...], note: Callable[[str], None]) -> None:
        """Put the box into the home that all runs share: ours under a name that tells its content.

        Another one is taken from the user's own home if it is there; else Vagrant looks for it, as it always does.
        """
        if other := setting("box"):
            directory = other.replace("/", "-VAGRANTSLASH-")
            mine = Path(os.environ.get("VAGRANT_HOME") or Path.home() / ".vagrant.d") / "boxes" / directory
            with FileLock(self._run.boxes.with_name("boxes.lock")):
                known = self._run.boxes / directory
                if known.is_symlink():
                    known.unlink()
                if mine.is_dir() and not known.exists():
                    known.symlink_to(mine)
            return
        made = box(packages, note=note)
        name = f"{NAME}-{made.version}"
        environment[f"{PREFIX}BOX"] = name
        with FileLock(self._run.boxes.with_name("boxes.lock")):
            if not (self._run.boxes / name).is_dir():
                self._vagrant.box_add(name, str(made.file))
                for old in sorted(self._run.boxes.glob(f"{NAME}-*"), key=os.path.getmtime)[:-KEEP]:
                    shutil.rmtree(old, ignore_errors=True)

    @contextlib.contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """One VM at a time brings the box and the network to a libvirt that others use as well: Vagrant has no lock."""
        with contextlib.ExitStack() as stack:
            if self._guest_of_host and not host_libvirt.ready_for_box(name):
                stack.enter_context(FileLock(self._run.boxes.with_name("up.lock")))
            yield

    def _find(self) -> None:
        """Ask where the VM is, and connect to its agent."""
        self._ssh_config.write_text(self._vagrant.ssh_config())
        self._connect()

    def _connect(self) -> None:
        self._connection = ssh.connect(
            lambda: ssh.Connection(self._ssh_config, self._libvirt.network, self._why), CONNECT_TIMEOUT
        )

    def _hang_up(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _why(self) -> str:
        broken = self._connection is not None and self._connection.ended
        how = "its ssh connection has ended" if broken else "its ssh connection is open"
        return f"{how}; its console ends with: {_tail(self.console()) or '(nothing)'}"


class Command(vagrant.Vagrant):
    """python-vagrant, with the command led to where libvirt is, and errors as sentences."""

    def __init__(self, log: Path, libvirt: Libvirt, environment: dict[str, str]) -> None:
        def output() -> contextlib.AbstractContextManager[IO[bytes]]:
            return log.open("ab")

        super().__init__(str(ROOT), env=environment, out_cm=output, err_cm=output)
        self._log = log
        self._libvirt = libvirt

    def save(self, name: str) -> None:
        """Snapshot, in the place of one of that name if there is one."""
        self._call_vagrant_command(["snapshot", "save", "--force", name])

    def _make_vagrant_command(self, args: Sequence[str | None]) -> list[str]:
        # In a session of its own: a terminal's Ctrl-C is for the harness, which ends the VM in order.
        command = [tool_path("vagrant") or "vagrant", *(word for word in args if word is not None)]
        return ["setsid", *self._libvirt.beside(command)]

    def _call_vagrant_command(self, args: Sequence[str | None]) -> None:
        with self._errors(args):
            super()._call_vagrant_command(args)

    def _run_vagrant_command(self, args: Sequence[str | None]) -> str:
        with self._errors(args):
            said: str = super()._run_vagrant_command(args)
            return said

    @contextlib.contextmanager
    def _errors(self, args: Sequence[str | None]) -> Iterator[None]:
        try:
            yield
        except subprocess.CalledProcessError as problem:
            words = " ".join(word for word in args if word)
            said = _tail(self._log.read_text(errors="replace")) or "it said nothing"
            raise MachineError(f"'vagrant {words}' ended with {problem.returncode}: {said}") from problem


def require_vagrantfile() -> None:
    """Raise HostError where the checkout that holds the Vagrantfile is not there."""
    if not (ROOT / "Vagrantfile").is_file():
        raise HostError(
            f"the provider 'vagrant' needs the project's checkout and there is no '{ROOT / 'Vagrantfile'}': "
            "install crashinit from its checkout with 'pip install --editable .'"
        )


def _tail(text: str) -> str:
    return " / ".join([line.strip() for line in text.splitlines() if line.strip()][-TAIL:])
