"""Providers: the ways to get machines on this host."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from crashinit.errors import MachineError, UsageError
from crashinit.machine import payload
from crashinit.machine.cache import MIB, Shelf, digest, require_space
from crashinit.machine.files import File
from crashinit.machine.guests import DEFAULT, load
from crashinit.machine.guests.image import Image, image
from crashinit.machine.protocol import Provider
from crashinit.machine.qemu import qemu
from crashinit.machine.qemu.accel import Accel, accelerator, remembered
from crashinit.machine.qemu.block import Layer
from crashinit.machine.qemu.memory import Memory
from crashinit.machine.qemu.qemu import Hardware, Kernel
from crashinit.machine.qemu.template import Frozen, QemuMachine, QemuTemplate
from crashinit.machine.seed import apart

MEMORY = 384 * MIB  # of a machine
TEMPLATE_SEED = "template"
KEEP = 18  # templates, of all guests and in both times
SPACE_TO_FREEZE = 768 * MIB  # memory file and disk layer of one template


def get_provider(name: str, **options: Any) -> Provider:
    """The provider `name`, with its seed and guest if it names them (machine/seed.py); `options` are its own.

    Raises UsageError, HostError.
    """
    machines, guest = apart(name)
    kind, _, seed = machines.partition(":")
    if kind not in PROVIDERS:
        raise UsageError(f"there is no provider '{machines}': choose one of {', '.join(map(repr, sorted(PROVIDERS)))}")
    return PROVIDERS[kind](guest=guest, **options, **({"seed": seed} if seed else {}))


class QemuProvider:
    """Machines under QEMU in real time, from an image that is built here."""

    name = "qemu-real"
    forks = True
    repeats = False
    seed: str | None = None  # of the machines that come from its templates; None: each has the host's randomness

    def __init__(
        self, *, guest: str = DEFAULT, memory: int | None = None, note: Callable[[str], None] = lambda text: None
    ) -> None:
        """`guest`: its name, or its file; `memory`: bytes a machine; `note` is told what takes long, in sentences.

        Raises UsageError for a guest that there is not, or whose file is wrong; HostError.
        """
        self.guest = guest
        self._guest = load(guest)
        self._memory = memory or self._guest.bytes() or MEMORY
        self._note = note
        qemu.version()  # fail now, and with one sentence, where QEMU is missing

    @property
    def accel(self) -> str:
        return self.acceleration().name

    def acceleration(self) -> Accel:
        """The accelerator and the reason for it; probed if need be, for which an image is built if need be."""
        return remembered() or accelerator(self._image(), note=self._note)

    def plugging(self) -> Provider | None:
        """Its own machines take further disks."""
        return self

    def template(self, packages: tuple[str, ...] = ()) -> QemuTemplate:
        """See machine/protocol.py. The first call builds image and template; later processes find them."""
        base = self._image(packages)
        hardware = self.hardware(base)
        key = digest(
            base.key,
            payload.payload(),
            qemu.version(),
            *hardware.arguments(),
            hardware.cmdline,
            *map(_source, SOURCES),
        )

        def build(where: Path) -> None:
            require_space(where, SPACE_TO_FREEZE)
            self._note("booting the template, some ten seconds (once)")
            (where / "initrd.gz").write_bytes(payload.appended(base.initrd.read_bytes()))
            self._freeze(base, where)

        where = Shelf("templates", KEEP, self._note).get(key, build)
        frozen = self._unbooted(base, File.open(where / "initrd.gz").sealed(), File.open(where / "disk"))
        memories = {**frozen.memories, "ram": Memory(File.open(where / "ram"))}
        return QemuTemplate(replace(frozen, memories=memories, state=File.open(where / "state")), self.seed)

    def boot(self, packages: tuple[str, ...] = ()) -> QemuMachine:
        """A machine booted from cold, without a template: the slow path, to check and to measure against."""
        base = self._image(packages)
        initrd = File.in_memory("initrd")
        os.write(initrd.fd, payload.appended(base.initrd.read_bytes()))
        return self._boot(base, initrd.sealed(), self.seed)

    def close(self) -> None:
        """Nothing to do: machines and templates hold all there is."""

    def hardware(self, base: Image) -> Hardware:
        """What its machines are made of."""
        return Hardware(accelerator(base, note=self._note).name, self._memory, self._guest.words())

    def disk(self, base: Image, written: File | None = None) -> tuple[tuple[Layer, ...], dict[str, Memory]]:
        """The root disk of `base`, and what a template has `written` of it: as layers, or as memory."""
        root = Layer(File.open(base.root), "raw")
        return (root, Layer(written, "qcow2")) if written else (root,), {}

    def written(self, frozen: Frozen) -> File:
        """What a machine has written of its disk, for `disk`."""
        return frozen.layers[-1].file

    def _image(self, packages: tuple[str, ...] = ()) -> Image:
        return image(packages, guest=self._guest, note=self._note)

    def _freeze(self, base: Image, where: Path) -> None:
        """Boot `base` with the initramfs in `where`, let it read what trials need, and write it out frozen there."""
        with self._boot(base, File.open(where / "initrd.gz").sealed(), TEMPLATE_SEED) as machine:
            machine.run("sh", "-c", WARM_UP, timeout=120.0)
            machine.run("sync").check()
            frozen = machine.freeze()
            assert frozen.state is not None
            frozen.memories["ram"].file.sparsed_to(_new(where / "ram"))
            frozen.state.copied_to(_new(where / "state"))
            self.written(frozen).copied_to(_new(where / "disk"))

    def _boot(self, base: Image, initrd: File, seed: str | None) -> QemuMachine:
        frozen = self._unbooted(base, initrd)
        # It writes to its memories' files.
        own = {name: Memory(each.whole(name)) for name, each in frozen.memories.items()}
        try:
            machine = QemuMachine(replace(frozen, memories=own), seed=seed)
        except MachineError as problem:
            raise MachineError(f"the guest '{self._guest.name}' does not boot: {problem}") from problem
        try:
            self._check(machine)
        except BaseException:
            machine.close()
            raise
        return machine

    def _check(self, machine: QemuMachine) -> None:
        """Raise UsageError for a guest that boots, and is of no use."""
        if "thin-pool" not in machine.run("dmsetup", "targets").stdout:
            raise UsageError(
                f"the kernel {machine.kernel} of the guest '{self._guest.name}' has no dm-thin "
                "(CONFIG_DM_THIN_PROVISIONING): give the guest a kernel that has it, and its modules"
            )
        for name, value in self._guest.sysctl.items():
            told = machine.run("cat", f"/proc/sys/{name.replace('.', '/')}").stdout.strip()
            if told != str(value):
                raise UsageError(
                    f"the guest '{self._guest.name}' sets the sysctl '{name}' to '{value}', but its kernel "
                    + (f"has it at '{told}'" if told else "has none of that name")
                )

    def _unbooted(self, base: Image, initrd: File, written: File | None = None) -> Frozen:
        hardware = self.hardware(base)
        kernel = Kernel(File.open(base.kernel).sealed(), initrd, hardware.cmdline)
        layers, memories = self.disk(base, written)
        ram = Memory(File.in_memory("ram", hardware.memory))
        return Frozen(hardware, kernel, layers, File.open(base.overlay), {"ram": ram, **memories})


def _new(path: Path) -> File:
    return File(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _source(name: str) -> bytes:
    return (Path(__file__).parent / name).read_bytes()


SOURCES = ("provider.py", "qemu/qemu.py", "qemu/block.py")  # how a template is made: part of its key

# Under emulation, reading a program from the disk costs more than running it: have them all in the page cache, and
# their directory entries in the kernel's other caches, before the machine is frozen. -V and the like change nothing.
WARM_UP = """
exec >/dev/null 2>&1
for p in blkid blockdev cat cp dd debugfs dmesg dmsetup dumpe2fs e2fsck env fsck.ext4 grep losetup ls mkdir mke2fs \
    mkfs.ext4 mkfs.xfs mknod modprobe mount mountpoint mv pdata_tools ps python3 rm sh sleep stat sync thin_check \
    thin_dump thin_ls touch truncate tune2fs udevadm umount xfs_db xfs_repair; do
    f=$(command -v $p) && cat $f $(ldd $f | sed -n 's/.* => \\(.*\\) (.*/\\1/p')
done
for c in "blkid -V" "dmsetup version" "e2fsck -V" "losetup -V" "mkfs.ext4 -V" "mkfs.xfs -V" "mount -V" "thin_check -V" \
    "thin_dump -V" "tune2fs" "udevadm --version" "umount -V" "xfs_repair -V" "dmsetup ls" "losetup -a" "ps"; do
    $c
done
python3 -c 'import argparse, collections, contextlib, ctypes, ctypes.util, dataclasses, datetime, enum, errno, fcntl, \
functools, hashlib, io, itertools, json, logging, os, pathlib, pyudev, queue, random, re, select, shlex, shutil, \
signal, socket, stat, string, struct, subprocess, sys, tempfile, textwrap, threading, time, traceback, typing, uuid'
truncate -s 64M /var/tmp/warm && mkfs.ext4 -q -F /var/tmp/warm && e2fsck -fn /var/tmp/warm && blkid -p /var/tmp/warm
rm -f /var/tmp/warm
# Memory that is free now still holds what was there: zeros, which the template leaves out, make each fork cheaper.
free=$(sed -n 's/^MemFree: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)
head -c $((free - 16384))K /dev/zero > /dev/shm/zero
rm /dev/shm/zero
"""


def _vagrant(**options: Any) -> Provider:
    from crashinit.machine.vagrant.vagrant import VagrantProvider  # python-vagrant is only needed here

    return VagrantProvider(**options)


def _cold(**options: Any) -> Provider:
    from crashinit.machine.qemu.cold import ColdProvider

    return ColdProvider(**options)


def _virtual(**options: Any) -> Provider:
    from crashinit.machine.qemu.virtual import VirtualProvider

    return VirtualProvider(**options)


def _default(**options: Any) -> Provider:
    """Machines in virtual time where they are emulated, else in real time, in which no seed determines anything."""
    seed = options.pop("seed", "")
    real = QemuProvider(**options)
    if real.accel == "tcg":
        return _virtual(**options, **({"seed": seed} if seed else {}))
    if seed:
        raise UsageError("machines run in real time under KVM, where a seed determines nothing: give no seed.")
    return real


PROVIDERS: dict[str, Callable[..., Provider]] = {
    # A further provider is a class beside QemuProvider and a line here.
    "qemu": _default,
    "qemu-cold": _cold,
    "qemu-real": QemuProvider,
    "qemu-virtual": _virtual,
    "vagrant": _vagrant,
}
