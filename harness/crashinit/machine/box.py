"""The Vagrant box: the guest image once more, as a full system with ssh, packed for vagrant-libvirt.

A box is an archive of a disk, a Vagrantfile of defaults and a description. Ours carries its kernel and initramfs as
well, which libvirt boots directly, so that no boot loader is needed, and the private half of a key made for it.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crashinit.errors import HostError
from crashinit.machine.cache import Shelf, digest
from crashinit.machine.image import DISK_SIZE, PACKAGES, SUITE, Recipe, tool_path
from crashinit.machine.payload import S_IFREG, archive

NAME = "crashinit"  # of the box, for `vagrant box add` and config.vm.box
# Beyond the image's own: a system that boots by itself, and is reached and administered over ssh.
BOX_PACKAGES = (*PACKAGES, "openssh-server", "sudo", "systemd-sysv")
HERE = Path(__file__).parent / "box"
KEEP = 2


@dataclass(frozen=True)
class Box:
    """A box in the cache."""

    version: str  # a digest of all that went into it
    path: Path  # the directory

    @property
    def file(self) -> Path:
        return self.path / f"{NAME}.box"


def box(packages: tuple[str, ...] = (), *, note: Callable[[str], None] = lambda text: None) -> Box:
    """The box with the standard packages and these, from the cache or built now (about a minute and a half).

    Raises HostError as image() does.
    """
    wanted = tuple(sorted({*BOX_PACKAGES, *packages}))
    sources = [path.read_bytes() for path in (Path(__file__), *sorted(HERE.iterdir()))]
    key = digest(SUITE, *wanted, *sources)

    def build(where: Path) -> None:
        note("building the Vagrant box from Debian packages, about a minute and a half (once)")
        BoxRecipe(where, wanted).build()

    return Box(key, Shelf("boxes", KEEP).get(key, build))


class BoxRecipe(Recipe):
    """How a box is made in the directory `where`: as the image is, but its first process is systemd."""

    def build(self) -> None:
        if tool_path("ssh-keygen") is None:
            raise HostError(
                "'ssh-keygen' is not installed: run 'apt-get install --no-install-recommends openssh-client'"
            )
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

    def _pack(self) -> None:
        disk = self.where / "box.img"
        self._run("qemu-img", "convert", "-O", "qcow2", str(self.where / "root.img"), str(disk))
        facts = {"provider": "libvirt", "format": "qcow2", "virtual_size": DISK_SIZE >> 30}
        (self.where / "metadata.json").write_text(json.dumps(facts))
        shutil.copyfile(HERE / "Vagrantfile", self.where / "Vagrantfile")
        parts = ["metadata.json", "Vagrantfile", "box.img", "vmlinuz", "initrd.gz", "key"]
        packed = self.where / f"{NAME}.box"
        self._run("tar", "-C", str(self.where), "-czf", str(packed), *parts)
        for name in (*parts, "root.img", "empty.qcow2", "key.pub"):
            (self.where / name).unlink()
