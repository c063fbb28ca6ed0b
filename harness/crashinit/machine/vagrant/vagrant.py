"""The provider 'vagrant': machines that are states of one VM.

Vagrant's VM is expensive to bring up and cheap to set back, so a provider has one VM, and a machine is a state of
it. One machine at a time has the VM; the others rest in snapshots, which hold memory and disk, until they are called
again. So forks work as they do under QEMU: the agent, and the driver that it holds at a boundary, are in the snapshot.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self

from crashinit.errors import HostError, MachineError
from crashinit.machine.by_agent import ByAgent
from crashinit.machine.guests import DEFAULT, load
from crashinit.machine.guests.image import image, tool_path
from crashinit.machine.qemu.accel import accelerator, remembered
from crashinit.machine.vagrant import settings as vagrant_settings
from crashinit.machine.vagrant.vm import Snapshot, Vm, require_vagrantfile

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
    seed: str | None = None

    def __init__(
        self, *, guest: str = DEFAULT, memory: int = MEMORY, note: Callable[[str], None] = lambda text: None
    ) -> None:
        """`guest`: its name, or its file; `memory`: MiB of the VM; `note` is told what takes long, in sentences.

        Raises UsageError for a guest that there is not, HostError.
        """
        self.guest = guest
        self._guest = load(guest)
        require_tools()
        require_vagrantfile()
        self._memory = memory
        self._note = note
        self._vms: list[SharedVm] = []

    @property
    def accel(self) -> str:
        return vagrant_settings.accel() or (remembered() or accelerator(image(note=self._note), note=self._note)).name

    def plugging(self) -> None:
        """Nobody's."""
        return

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
    """A VM and whose turn it is.

    Two machines take turns, from one snapshot S:
        switch_to(a)   restores S; a changes the VM, which equals no snapshot any more
        switch_to(b)   saves the VM as A, where a is parked now; restores S
        switch_to(a)   saves the VM as B, where b is parked now; restores A
    """

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self._holder: VagrantMachine | None = None
        self._current_snapshot: Snapshot | None = None  # which the VM equals; None: it was changed since

    def save(self) -> Snapshot:
        """A snapshot of what the VM is now."""
        if self._current_snapshot is None:
            self._current_snapshot = self.vm.save()
        return self._current_snapshot

    def switch_to(self, machine: "VagrantMachine") -> None:
        """Make the VM that machine; the one that had it before is parked in a snapshot."""
        if self._holder is machine:
            return
        if self._holder:
            self._holder.parked_in = self.save()
        self._holder = None
        if self._current_snapshot is not machine.parked_in:
            self._current_snapshot = None
            assert machine.parked_in is not None  # since it was made, or since another one took the VM
            self.vm.restore(machine.parked_in)
            self._current_snapshot = machine.parked_in
        self._holder = machine

    def about_to_change(self) -> None:
        """From now on the VM equals no snapshot."""
        self._current_snapshot = None

    def leave(self, machine: "VagrantMachine") -> None:
        """This machine is no more."""
        if self._holder is machine:
            self._holder = None


class VagrantMachine(ByAgent):
    """A state of the VM; see machine/protocol.py for what each method promises."""

    def __init__(self, shared: SharedVm, state: Snapshot) -> None:
        super().__init__()
        self.parked_in: Snapshot | None = state  # where this machine is while another one has the VM
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
        self._shared.switch_to(self)
        return VagrantTemplate(self._shared, self._shared.save())

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.parked_in = None
            self._shared.leave(self)

    def _take(self) -> Vm:
        """The VM, as this machine, to be changed."""
        self._require_open()
        self._shared.switch_to(self)
        self._shared.about_to_change()
        self.parked_in = None
        return self._shared.vm


class VagrantTemplate:
    """A snapshot of the VM; see machine/protocol.py for what each method promises."""

    def __init__(self, shared: SharedVm, snapshot: Snapshot) -> None:
        self._shared = shared
        self._snapshot: Snapshot | None = snapshot

    def clone(self, *, forkable: bool = False, seed: int | None = None) -> VagrantMachine:
        if self._snapshot is None:
            raise MachineError("this template is closed")
        machine = VagrantMachine(self._shared, self._snapshot)
        self._shared.switch_to(machine)
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
