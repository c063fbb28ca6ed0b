"""The Vagrant box: the guest image once more, as a full system with ssh, packed for vagrant-libvirt.

A box is an archive of a disk, a Vagrantfile of defaults and a description. Ours carries the private half of a key made
for it as well. The disk boots by itself: a kernel beside it would have to be readable for the user that libvirt runs
QEMU as, and that user cannot look into people's homes, where Vagrant keeps boxes.
"""

import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crashinit.errors import HostError
from crashinit.machine.cache import Shelf, digest
from crashinit.machine.guests import DEFAULT, Guest, load
from crashinit.machine.guests.image import DISK_SIZE, DISK_UUID, PACKAGES, Recipe, tool_path
from crashinit.machine.guests.packages import checked
from crashinit.machine.payload import S_IFREG, archive

NAME = "crashinit"  # of the default guest's box
# Beyond the image's own: a system that boots by itself, and is reached and administered over ssh.
BOX_PACKAGES = (*PACKAGES, "grub-pc-bin", "openssh-server", "sudo", "systemd-sysv")
HERE = Path(__file__).parent / "box"
KEEP = 2
SECTOR = 512
GAP = 2048  # sectors before the one partition: the boot loader lies there
LOADER = ("biosdisk", "ext2", "linux", "part_msdos")  # GRUB's modules
# What a partition table of the old kind says of a partition (UEFI specification, 5.2.1): bootable, Linux.
PARTITION = struct.pack("<B3xB3xII", 0x80, 0x83, GAP, DISK_SIZE // SECTOR - GAP)


@dataclass(frozen=True)
class Box:
    """A box in the cache."""

    version: str  # a digest of all that went into it
    path: Path  # the directory
    name: str  # for `vagrant box add` and config.vm.box

    @property
    def file(self) -> Path:
        return self.path / f"{NAME}.box"


def named(guest: Guest) -> str:
    """What the box of a guest is called that is built here."""
    return NAME if guest.name == DEFAULT else f"{NAME}-{guest.name}"


def box(
    packages: tuple[str, ...] = (), *, guest: Guest | None = None, note: Callable[[str], None] = lambda text: None
) -> Box:
    """The box of a guest, by default the default one, with the standard packages and these: from the cache or built now
    (about a minute and a half).

    Raises UsageError and HostError as image() does.
    """
    guest = guest or load(DEFAULT)
    wanted = tuple(sorted({*BOX_PACKAGES, *guest.named_packages(), *checked(packages)}))
    sources = [path.read_bytes() for path in (Path(__file__), *sorted(HERE.iterdir()))]
    key = digest(guest.digest(), *wanted, *sources)

    def build(where: Path) -> None:
        recipe = BoxRecipe(where, wanted, guest)
        recipe.check()
        note("building the Vagrant box from Debian packages, about a minute and a half (once)")
        recipe.build()

    return Box(key, Shelf("boxes", KEEP, note).get(key, build), named(guest))


class BoxRecipe(Recipe):
    """How a box is made in the directory `where`: as the image is, but its first process is systemd."""

    def check(self) -> None:
        if tool_path("ssh-keygen") is None:
            raise HostError(
                "'ssh-keygen' is not installed: run 'apt-get install --no-install-recommends openssh-client'"
            )
        super().check()

    def build(self) -> None:
        super().build()
        self._pack()

    def _kernel(self) -> None:
        super()._kernel()
        self._system()

    def _system(self) -> None:
        """A key of this box's own, and what makes the tree a machine that Vagrant can use."""
        key = self.where / "key"
        self._run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", NAME, "-f", str(key))
        script = self.tree / "setup.sh"
        shutil.copyfile(HERE / "setup.sh", script)
        public = key.with_suffix(".pub").read_text().strip()
        self._run("chroot", str(self.tree), "sh", "/setup.sh", public)
        script.unlink()

    def _initrd(self) -> None:
        super()._initrd()
        with (self.where / "initrd.gz").open("ab") as initrd:
            initrd.write(b"\0" * (-initrd.tell() % 4))
            initrd.write(archive([("init", S_IFREG | 0o755, (HERE / "initrd.sh").read_bytes())]))

    def _disk(self) -> None:
        """A disk with a partition for the tree, in which kernel and initramfs lie, and a boot loader before it."""
        boot = self.tree / "boot"
        boot.mkdir()
        for name in ("vmlinuz", "initrd.gz"):
            shutil.move(self.where / name, boot / name)
        shutil.copyfile(HERE / "grub.cfg", boot / "grub.cfg")
        core = ["grub-mkimage", "-O", "i386-pc", "-p", "/boot", "-c", "/boot/grub.cfg", "-o", "/boot/core.img"]
        self._run("chroot", str(self.tree), *core, *LOADER)
        first = (self.tree / "usr/lib/grub/i386-pc/boot.img").read_bytes()
        loader = (boot / "core.img").read_bytes()
        shutil.rmtree(self.tree / "usr/lib/grub")
        disk = self.where / "root.img"
        with disk.open("wb") as file:
            file.truncate(DISK_SIZE)
        options = f"offset={GAP * SECTOR},hash_seed={DISK_UUID},lazy_itable_init=0,lazy_journal_init=0"
        self._run(
            "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum_seed", "-m", "0", "-U", DISK_UUID, "-E", options,
            "-d", str(self.tree), str(disk), f"{(DISK_SIZE - GAP * SECTOR) // 1024}k",
        )  # fmt: skip
        with disk.open("r+b") as file:
            # The first sector reads the second, which reads those behind it: both are made for these places.
            file.write(first[:446] + PARTITION + bytes(48) + b"\x55\xaa" + loader)
            assert file.tell() <= GAP * SECTOR

    def _pack(self) -> None:
        disk = self.where / "box.img"
        self._run("qemu-img", "convert", "-O", "qcow2", str(self.where / "root.img"), str(disk))
        facts = {"provider": "libvirt", "format": "qcow2", "virtual_size": DISK_SIZE >> 30}
        (self.where / "metadata.json").write_text(json.dumps(facts))
        shutil.copyfile(HERE / "Vagrantfile", self.where / "Vagrantfile")
        parts = ["metadata.json", "Vagrantfile", "box.img", "key"]
        packed = self.where / f"{NAME}.box"
        self._run("tar", "-C", str(self.where), "-czf", str(packed), *parts)
        for name in (*parts, "root.img", "empty.qcow2", "key.pub"):
            (self.where / name).unlink()
