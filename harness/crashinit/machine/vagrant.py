"""The provider 'vagrant': machines that are states of one VM.

Vagrant's VM is expensive to bring up and cheap to set back, so a provider has one VM, and a machine is a state of
it. One machine at a time has the VM; the others rest in snapshots, which hold memory and disk, until they are called
again. So forks work as they do under QEMU: the agent, and the driver that it holds at a boundary, are in the snapshot.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self

from crashinit.errors import HostError, MachineError
from crashinit.machine import vagrant_settings
from crashinit.machine.accel import accelerator, remembered
from crashinit.machine.by_agent import ByAgent
from crashinit.machine.image import image, tool_path
from crashinit.machine.vagrant_vm import Snapshot, Vm, require_vagrantfile

MEMORY = 512  # MiB of the VM
TOOLS = {  # what is called here, by Vagrant's provider
    "libvirt": ("vagrant", "virsh", "libvirtd", "ssh", "nsenter"),
    "virtualbox": ("vagrant", "VBoxManage", "ssh"),
}


class VagrantProvider:
    """Machines under Vagrant, by the Vagrantfile at the top of the checkout."""

    name = "vagrant"
    forks = True
    repeats = False
    plugs = False

    def __init__(self, *, memory: int = MEMORY, note: Callable[[str], None] = lambda text: None) -> None:
        """`memory`: MiB of the VM; `note` is told what takes long, in sentences. Raises HostError."""
        require_tools()
        require_vagrantfile()
        self._memory = memory
        self._note = note
        self._vms: list[SharedVm] = []

    @property
    def accel(self) -> str:
        return vagrant_settings.accel() or (remembered() or accelerator(image(note=self._note), note=self._note)).name

    def template(self, packages: tuple[str, ...] = ()) -> "VagrantTemplate":
        """See machine/protocol.py. Each call brings a VM up."""
        vm = SharedVm(Vm(packages, self.accel, memory=self._memory, note=self._note))
        self._vms.append(vm)
        return VagrantTemplate(vm, vm.save())

    def close(self) -> None:
        """Destroy the VMs; closing twice does nothing."""
        while self._vms:
            self._vms.pop().vm.close()


class SharedVm:
    """A VM and whose turn it is."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self._holder: VagrantMachine | None = None
        self._at: Snapshot | None = None  # the snapshot that the VM equals, for as long as nobody has called it

    def save(self) -> Snapshot:
        """A snapshot of what the VM is now."""
        if self._at is None:
            self._at = self.vm.save()
        return self._at

    def give_to(self, machine: "VagrantMachine") -> None:
        """Make the VM that machine; the one that had it before rests in a snapshot."""
        if self._holder is machine:
            return
        if self._holder:
            self._holder.rest = self.save()
        self._holder = None
        if self._at is not machine.rest:
            self._at = None
            assert machine.rest is not None  # it has rested since it was made, or since another one took the VM
            self.vm.restore(machine.rest)
            self._at = machine.rest
        self._holder = machine

    def changed(self) -> None:
        """The VM is about to become another than any snapshot."""
        self._at = None

    def leave(self, machine: "VagrantMachine") -> None:
        """This machine is no more."""
        if self._holder is machine:
            self._holder = None


class VagrantMachine(ByAgent):
    """A state of the VM; see machine/protocol.py for what each method promises."""

    def __init__(self, shared: SharedVm, state: Snapshot) -> None:
        super().__init__()
        self.rest: Snapshot | None = state  # where this machine is while another one has the VM
        self._shared = shared

    def _ask(self, name: str, arguments: Mapping[str, Any], timeout: float) -> Any:
        return self._take().call(name, arguments, timeout)

    def console(self) -> str:
        self._require_open()
        return self._shared.vm.console()

    def power_cut(self) -> None:
        self._take().power_cut()

    def fork(self) -> "VagrantTemplate":
        self._require_open()
        self._shared.give_to(self)
        return VagrantTemplate(self._shared, self._shared.save())

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.rest = None
            self._shared.leave(self)

    def _take(self) -> Vm:
        """The VM, as this machine, to be changed."""
        self._require_open()
        self._shared.give_to(self)
        self._shared.changed()
        self.rest = None
        return self._shared.vm


class VagrantTemplate:
    """A snapshot of the VM; see machine/protocol.py for what each method promises."""

    def __init__(self, shared: SharedVm, snapshot: Snapshot) -> None:
        self._shared = shared
        self._snapshot: Snapshot | None = snapshot

    def clone(self, *, forkable: bool = False) -> VagrantMachine:
        if self._snapshot is None:
            raise MachineError("this template is closed")
        machine = VagrantMachine(self._shared, self._snapshot)
        self._shared.give_to(machine)
        return machine

    def derive(self, prepare: Callable[[VagrantMachine], None]) -> "VagrantTemplate":
        with self.clone() as machine:
            prepare(machine)
            machine.run("sync").check()
            return machine.fork()

    def close(self) -> None:
        self._snapshot = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def require_tools() -> None:
    """Raise HostError that names what is missing and what installs it."""
    chosen = vagrant_settings.provider()
    missing = [f"'{tool}'" for tool in TOOLS[chosen] if tool_path(tool) is None]
    if missing:
        remedy = "run './tools/vagrant-packages.sh'" if chosen == "libvirt" else "install Vagrant and VirtualBox"
        raise HostError(f"the provider 'vagrant' needs {', '.join(missing)}, not installed here: {remedy}")
