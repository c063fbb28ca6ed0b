"""One QEMU process: its arguments, its monitor (QMP), its memory and its disk.

All that QEMU uses is handed to it as open descriptors (memory, state, disk layers, console, both sockets), and
none of them needs a name. When the process ends, so do they: nothing to sweep, nothing left in tmpfs.

What a guest makes of QEMU stays in it: it runs under QEMU's own system call filter, which lets it start nothing and
change its rights no more, and never as root. Of the files, it can use those that it was handed, as they were opened;
it opens anew only what lies in memory, and what machines share there is sealed.
"""

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from qemu.qmp import QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol, QMPMessage

from crashinit.errors import HostError, MachineError
from crashinit.machine import owned
from crashinit.machine.cache import MIB
from crashinit.machine.channel import LOOK
from crashinit.machine.files import File
from crashinit.machine.qemu.block import Layer, firmware_node, handed, plugged_node, root_nodes
from crashinit.machine.qemu.mailbox import SIZE
from crashinit.machine.qemu.memory import Memory

PROGRAM = "qemu-system-x86_64"
FIRMWARE = "bios-256k.bin"
AGENT_PORT = "crashinit.agent.0"
QMP_TIMEOUT = 60.0  # seconds; a healthy monitor answers in milliseconds, a starved host in seconds
PANIC = "Kernel panic - not syncing"
CONSOLE_TAIL = 6  # lines of the console that an error shows
# q35 boots reliably under TCG and has the PCIe ports that disks are plugged into; what a machine never uses is off.
BOARD = "q35,memory-backend=ram,usb=off,sata=off,smbus=off,vmport=off,graphics=off,suppress-vmdesc=on,pflash0=firmware"
# On a host that is busy an emulated timer ticks late, and the kernel's check of it would panic: no_timer_check.
# The three before that make a trial under emulation a quarter faster: code keeps its addresses and so its translation,
# indirect calls need no thunks, and a fresh interpreter's memory takes few page faults.
CMDLINE = (
    "console=ttyS0 quiet panic=0 net.ifnames=0 tsc=unstable "
    "norandmaps mitigations=off transparent_hugepage=always no_timer_check"
)
# What the host has, or what is cheap to emulate: no SMAP, no five-level page tables, no AVX.
CPU = {"kvm": "max", "tcg": "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16"}
# Refuse calls that are long gone, new rights, new processes, and the scheduling of others.
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
KVM = Path("/dev/kvm")
HOTPLUG_PORTS = ("port1", "port2", "port3")
PHYSICAL_SECTOR = 4096  # bytes; what a plugged-in disk writes as a whole or not at all
NOT_INSTALLED = f"'{PROGRAM}' is not installed: run 'apt-get install --no-install-recommends qemu-system-x86'"
MONITOR_ERRORS = (QMPError, TimeoutError, OSError, EOFError)  # EOFError: QEMU was killed while the monitor was read


@dataclass(frozen=True)
class Hardware:
    """What a template and all its clones have in common, besides memory and disk."""

    accel: str  # "kvm" or "tcg"
    memory: int  # bytes
    words: str = ""  # what the guest adds to the kernel's command line
    virtual: bool = False  # time is a count of instructions, and the root disk is memory; docs/determinism.md

    @property
    def cmdline(self) -> str:
        """The kernel's command line."""
        # A CPU's random numbers, if it has any, would be no function of the seed.
        own = "random.trust_cpu=off crashinit.root=pmem0 crashinit.mailbox"
        return " ".join([CMDLINE, own if self.virtual else "random.trust_cpu=on", *self.words.split()])

    def arguments(self) -> list[str]:
        """The part of the command line that a saved state depends on."""
        arguments = [
            "-accel", self.accel, "-cpu", CPU[self.accel], "-smp", "1",
            "-nodefaults", "-no-user-config", "-display", "none",
            # What xen-save-devices-state writes has neither this section nor a description (suppress-vmdesc).
            "-global", "migration.send-configuration=off",
            "-device", "isa-serial,chardev=console",
        ]  # fmt: skip
        if self.virtual:
            return [
                *arguments, "-M", f"{BOARD},nvdimm=on", "-m", f"{self.memory // MIB}M,slots=2,maxmem=4G",
                # An instruction takes 8 ns, and a CPU that is idle goes at once to its next timer.
                "-icount", "shift=3,sleep=off", "-rtc", "base=2026-01-01T00:00:00,clock=vm",
                # The firmware's table has them the other way round: the root disk is pmem0.
                "-device", "nvdimm,memdev=mailbox", "-device", "nvdimm,memdev=root",
                "-device", "pvpanic", "-action", "panic=pause",
            ]  # fmt: skip
        arguments += [
            "-M", BOARD, "-m", f"{self.memory // MIB}M", "-rtc", "base=utc,clock=host",
            "-device", "virtio-blk-pci,drive=root,serial=root",
            "-device", "virtio-serial-pci,max_ports=2",
            "-device", f"virtserialport,chardev=agent,name={AGENT_PORT}",
        ]  # fmt: skip
        for number, port in enumerate(HOTPLUG_PORTS, start=1):
            arguments += ["-device", f"pcie-root-port,id={port},chassis={number}"]
        return arguments


@dataclass(frozen=True)
class Kernel:
    """What a machine boots. Clones need it as well: they boot it again after a power cut."""

    image: File  # sealed, as is the other: every QEMU opens them anew
    initrd: File
    cmdline: str


def unless_left_waiting(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Ctrl-C may leave a wait for an event of QEMU's behind: that nobody heard its end is nothing to speak of."""
    if not isinstance(context.get("exception"), TimeoutError):
        loop.default_exception_handler(context)


class Qemu:
    """A QEMU process that boots, or goes on from a saved state."""

    def __init__(
        self,
        hardware: Hardware,
        kernel: Kernel,
        layers: Sequence[Layer],
        memories: Mapping[str, Memory],
        *,
        private: bool = False,
        state: File | None = None,
    ) -> None:
        """Start QEMU on the disk `layers`, lowest first, of which the last one is written, and on `memories`: "ram",
        and in virtual time "root", for which there are no layers then.

        `private`: the machine's writes to its memories stay its own and never reach their files. With `state`, which
        `save` has written, the machine is as that one was, and stands still; without, it boots. Raises HostError,
        MachineError.
        """
        self._memories = memories
        self._private = private
        self._console = File.on_disk()
        self.mailbox = File.in_memory("mailbox", SIZE)
        console = self._console.reopened(os.O_WRONLY | os.O_APPEND)
        monitor, monitor_far = socket.socketpair()
        self.agent, agent_far = socket.socketpair()
        arguments = [
            PROGRAM, "-sandbox", SANDBOX, *hardware.arguments(),
            "-kernel", kernel.image.path, "-initrd", kernel.initrd.path, "-append", kernel.cmdline,
            "-chardev", f"socket,id=monitor,fd={monitor_far.fileno()}", "-mon", "chardev=monitor,mode=control",
            "-chardev", f"socket,id=agent,fd={agent_far.fileno()}",
            "-chardev", f"file,id=console,path={handed(console)},append=on",
        ]  # fmt: skip
        for name, memory in memories.items():
            arguments += ["-object", _memory(name, memory.file, private)]
        if hardware.virtual:
            arguments += ["-object", _memory("mailbox", self.mailbox, private=False)]
        # In flash, which each QEMU reads anew: of a plain ROM a QEMU that waits for a saved state keeps nothing.
        for node in [firmware_node(firmware()), *root_nodes(layers)]:
            arguments += ["-blockdev", json.dumps(node)]
        if state is not None:
            arguments += ["-incoming", "defer", "-S"]
            state = state.reopened()  # every clone reads from the start
        by_number = [console, firmware(), *(layer.file for layer in layers)]
        for file in by_number:
            arguments += ["-add-fd", f"fd={file.fd},set={file.fd}"]
        opened = [kernel.image, kernel.initrd, self.mailbox, *(memory.file for memory in memories.values())]
        opened += [state] if state else []
        fds = [monitor_far.fileno(), agent_far.fileno(), *(file.fd for file in [*by_number, *opened])]
        try:
            self._process = owned.spawn(
                arguments,
                fds=fds,
                stdout=console.fd,
                stderr=console.fd,
                env={"PATH": os.environ.get("PATH", os.defpath)},  # and none of this process's secrets
                cwd=Path("/"),
                user=user(hardware.accel),
            )
        except FileNotFoundError as problem:
            raise HostError(NOT_INSTALLED) from problem
        finally:
            monitor_far.close()
            agent_far.close()
        self._qmp = QEMUMonitorProtocol(monitor)
        self._qmp.settimeout(QMP_TIMEOUT)
        asyncio.get_event_loop().set_exception_handler(unless_left_waiting)
        self._free_ports = list(HOTPLUG_PORTS)
        try:
            self._connect()
            if state is not None:
                for memory in memories.values():
                    memory.loaded_into(self.pid)
                self._load(state)
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def command(self, name: str, **arguments: object) -> Any:
        """One QMP command's answer; MachineError when QEMU refuses it or is gone."""
        try:
            return self._qmp.cmd(name, **arguments)
        except MONITOR_ERRORS as problem:
            raise MachineError(f"QEMU's monitor failed at '{name}' ({problem}): {self.why()}") from problem

    def go(self) -> None:
        """Let a machine run that stands still."""
        self.command("cont")

    def await_pause(self, timeout: float) -> bool:
        """Wait until the machine has paused itself, for `timeout` seconds; whether it has."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            try:
                event = self._qmp.pull_event(min(left, LOOK))
            except TimeoutError:
                if self.panicked():
                    return False
                continue
            except MONITOR_ERRORS as problem:
                raise MachineError(f"QEMU's monitor fell silent: {self.why()}") from problem
            # GUEST_PANICKED comes before it: then the machine is about to stand still, and `cont` would do nothing.
            if event is not None and event["event"] == "STOP":
                return True
        return False

    @property
    def plugged(self) -> bool:
        """Whether the machine has disks beyond those that it was started with."""
        return len(self._free_ports) < len(HOTPLUG_PORTS)

    def plug(self, disk: File, serial: str, log: File | None) -> None:
        """Plug in a disk; the machine sees it a moment later. MachineError when no port is free.

        With `log`, an empty file, every write, flush and discard is logged there in the format of dm-log-writes.
        """
        if not self._free_ports:
            raise MachineError(f"a machine takes {len(HOTPLUG_PORTS)} disks, and this one has as many")
        port = self._free_ports.pop(0)
        self.command("blockdev-add", **plugged_node(port, self._hand(disk), self._hand(log) if log else None))
        self.command(
            "device_add", driver="virtio-blk-pci", id=f"{port}-disk", drive=port, bus=port, serial=serial,
            # blklogwrites of QEMU 7.2 counts a request to write zeroes wrongly, and fails one that was merged of so
            # many that their buffers, with its own, are more than IOV_MAX. Neither is to come to it.
            **{"write-zeroes": False, "request-merging": False},
            discard=True, physical_block_size=PHYSICAL_SECTOR,
        )  # fmt: skip

    def reset(self) -> None:
        """Pull the plug and put it in again: memory is lost, what was written to the disk is not."""
        self._qmp.clear_events()
        self.command("stop")
        self.command("system_reset")
        # The command only requests it: until it has happened, the old agent must not see a new request.
        while self._event()["event"] != "RESET":
            pass
        self.command("cont")

    def save(self) -> File:
        """The state of a machine that stands still, without memory and disk.

        The disk's top layer is complete then: whatever stops a machine has QEMU write what it had held back.
        """
        state = File.in_memory("state")
        name = self._hand(state.reopened(os.O_WRONLY))
        # `migrate` would carry memory that is mapped privately. Not live: the disk stays this machine's.
        self.command("xen-save-devices-state", filename=name, live=False)
        self.command("remove-fd", **{"fdset-id": int(name.rpartition("/")[2])})
        return state

    def memories(self) -> dict[str, Memory]:
        """What a machine that stands still has in memory."""
        if not self._private:
            return dict(self._memories)
        return {name: each.written_by(self.pid) for name, each in self._memories.items()}

    def console(self) -> str:
        """What the machine, and QEMU itself, have printed so far."""
        return self._console.text().replace("\r", "")

    def panicked(self) -> bool:
        """Whether the machine's kernel has said that it goes on no more."""
        return PANIC in self.console()

    def why(self) -> str:
        """What is known of a machine that does not do as it should, in half a sentence."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            # A process that is being killed is not a zombie yet when its sockets are already closed.
            self._process.wait(0.2)
        code = self._process.returncode
        if code is None and PANIC in (said := self.console()):
            return f"its kernel panicked, {said.partition(PANIC)[2].splitlines()[0].strip(': ')}"
        if code is None:
            how = "QEMU is running"
        else:
            how = f"QEMU was ended by signal {-code}" if code < 0 else f"QEMU ended with {code}"
        tail = " / ".join([line.strip() for line in self.console().splitlines() if line.strip()][-CONSOLE_TAIL:])
        return f"{how}; its console ends with: {tail or '(nothing)'}"

    def kill(self) -> None:
        """End the process now. Doing it twice does nothing."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(*MONITOR_ERRORS):
            self._qmp.close()
        self.agent.close()

    def _connect(self) -> None:
        try:
            with owned.not_interrupted():  # the monitor's library would make its own error of the interruption
                self._qmp.connect()
        except MONITOR_ERRORS as problem:
            raise MachineError(f"QEMU did not start: {self.why()}") from problem

    def _event(self) -> QMPMessage:
        try:
            event = self._qmp.pull_event(QMP_TIMEOUT)
        except MONITOR_ERRORS as problem:
            raise MachineError(f"QEMU's monitor fell silent: {self.why()}") from problem
        assert event is not None  # it waits
        return event

    def _send(self, file: File) -> None:
        """Send a descriptor, for the next command."""
        try:
            self._qmp.send_fd_scm(file.fd)
        except MONITOR_ERRORS as problem:
            raise MachineError(f"QEMU's monitor failed ({problem}): {self.why()}") from problem

    def _hand(self, file: File) -> str:
        """Hand over a file to a running QEMU; by which name it opens it, as often as it likes."""
        self._send(file)
        return f"/dev/fdset/{self.command('add-fd')['fdset-id']}"

    def _load(self, state: File) -> None:
        # Not by xen-load-devices-state: in QEMU 7.2 it ends in a failed assertion (yank_unregister_instance).
        self.command("migrate-incoming", uri=f"fd:{state.fd}")
        # Polled: the end is milliseconds away, and the monitor's event would have to be sorted out of others.
        deadline = time.monotonic() + QMP_TIMEOUT
        while (status := self.command("query-migrate").get("status")) != "completed":
            if status == "failed" or time.monotonic() > deadline:
                raise MachineError(f"the machine's state could not be loaded (status '{status}'): {self.why()}")
            time.sleep(0.001)


def user(accel: str) -> owned.User | None:
    """Who a QEMU runs as that this process starts; None: as this process does."""
    chosen = owned.unprivileged()
    return chosen.joining(KVM) if chosen and accel == "kvm" else chosen


def _memory(name: str, file: File, private: bool) -> str:
    share = "off" if private else "on"
    return f"memory-backend-file,id={name},size={file.size()},mem-path={file.path},share={share}"


@cache
def version() -> str:
    """The installed QEMU's version line; HostError when it is not installed."""
    try:
        out = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as problem:
        raise HostError(NOT_INSTALLED) from problem
    found = re.search(r"version (.*)", out)
    return found[1].strip() if found else out.splitlines()[0]


@cache
def firmware() -> File:
    """The firmware that QEMU brings along; HostError when it is not installed."""
    version()
    asked = subprocess.run([PROGRAM, "-L", "help"], capture_output=True, text=True, check=False)
    if asked.returncode:
        raise HostError(f"'{PROGRAM} -L help', which says where its firmware lies, ended with {asked.returncode}")
    for directory in asked.stdout.splitlines():
        if (path := Path(directory, FIRMWARE)).exists():
            return File.open(path)
    raise HostError(f"QEMU's firmware '{FIRMWARE}' is not installed: run 'apt-get install seabios'")
