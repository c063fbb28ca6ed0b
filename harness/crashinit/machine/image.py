"""The guest image: root disk, kernel and first initramfs, made from Debian packages.

Root is needed to build it (ownership of the files), not to use it. Nothing is mounted: mke2fs(8) fills the
disk from a directory.
"""

import gzip
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from crashinit.errors import HostError, UsageError
from crashinit.machine import owned
from crashinit.machine.cache import MIB, Shelf, cache_dir, digest, require_space
from crashinit.machine.packages import checked
from crashinit.machine.payload import S_IFDIR, S_IFREG, archive

SUITE = "bookworm"
PACKAGES = (
    "dmsetup", "e2fsprogs", "iproute2", "kmod", "linux-image-cloud-amd64", "mount", "procps", "python3",
    "python3-pyudev", "thin-provisioning-tools", "udev", "util-linux", "xfsprogs",
)  # fmt: skip
# Documentation and translations: half of what small packages unpack, and nobody reads them there.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
# The order is that of their dependencies: the initramfs has insmod and no modprobe.
MODULES = (
    "virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_legacy_dev", "virtio/virtio_pci_modern_dev",
    "virtio/virtio_pci", "block/virtio_blk",
    # For a root disk that is memory: nd_pmem needs nd_btt, and nfit finds the memory in the firmware's tables.
    "nvdimm/libnvdimm", "nvdimm/nd_btt", "nvdimm/nd_pmem", "acpi/nfit/nfit",
)  # fmt: skip
DISK_SIZE = 2048 * MIB  # of the root disk; sparse
SPACE_TO_BUILD = 1536 * MIB  # tree, disk and downloads of one image
# A fixed UUID and hash seed: equal trees give equal directories on equal disks.
DISK_UUID = "c4a5417e-0000-4000-8000-000000000001"
KEEP = 4
TOOLS = {  # program -> the Debian package that brings it
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "busybox": "busybox-static",
    "unshare": "util-linux",
    "qemu-img": "qemu-utils",
}


@dataclass(frozen=True)
class Image:
    """A guest image in the cache."""

    key: str
    path: Path

    @property
    def kernel(self) -> Path:
        return self.path / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.path / "initrd.gz"

    @property
    def root(self) -> Path:
        """The root disk, raw."""
        return self.path / "root.img"

    @property
    def overlay(self) -> Path:
        """An empty qcow2 file of the root disk's size, without a backing file's name: to be copied."""
        return self.path / "empty.qcow2"


def image(packages: tuple[str, ...] = (), *, note: Callable[[str], None] = lambda text: None) -> Image:
    """The image with the standard packages and these, from the cache or built now (about a minute).

    Raises UsageError for a package that does not exist or whose name is none, HostError: a tool or root is missing, the
    disk is full, a package cannot be had.
    """
    wanted = tuple(sorted({*PACKAGES, *checked(packages)}))
    key = digest(SUITE, *wanted, Path(__file__).read_bytes())

    def build(where: Path) -> None:
        recipe = Recipe(where, wanted)
        recipe.check()
        note("building the guest image from Debian packages, about a minute (once)")
        recipe.build()

    return Image(key, Shelf("images", KEEP).get(key, build))


class Recipe:
    """How an image is made in the directory `where`."""

    def __init__(self, where: Path, packages: tuple[str, ...]) -> None:
        self.where = where
        self.packages = checked(packages)
        self.tree = where / "tree"

    def check(self) -> None:
        """Raise HostError where a tool, root or room on the disk is missing: all that can be told beforehand."""
        missing = {package for tool, package in TOOLS.items() if tool_path(tool) is None}
        if missing:
            raise HostError(
                "the guest image cannot be built: "
                f"run 'apt-get install --no-install-recommends {' '.join(sorted(missing))}'"
            )
        if os.geteuid() != 0:
            raise HostError(
                f"building the guest image needs root (once, later runs do not): run '{as_root(self.packages)}'"
            )
        require_space(self.where, SPACE_TO_BUILD)

    def build(self) -> None:
        """Make the image. Raises UsageError for a package that there is not, HostError."""
        self._install()
        self._kernel()
        self._initrd()
        self._disk()
        shutil.rmtree(self.tree)
        self._run("qemu-img", "create", "-q", "-f", "qcow2", str(self.where / "empty.qcow2"), str(DISK_SIZE))

    def _install(self) -> None:
        options = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
        self._run(
            # The pid namespace ends with its first process, so an interrupted build leaves no apt or dpkg at work.
            "unshare", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc",
            "mmdebstrap", "--variant=minbase", "--format=directory", "--architectures=amd64",
            '--aptopt=Acquire::Languages "none"', *options, f"--include={','.join(self.packages)}",
            # Byte code made now is byte code that no emulated CPU has to make.
            '--customize-hook=chroot "$1" python3 -m compileall -q /usr/lib/python3 /usr/lib/python3.11',
            SUITE, str(self.tree),
        )  # fmt: skip

    def _kernel(self) -> None:
        (kernel,) = self.tree.glob("boot/vmlinuz-*")
        shutil.copyfile(kernel, self.where / "vmlinuz")
        shutil.rmtree(self.tree / "boot")

    def _initrd(self) -> None:
        busybox = tool_path("busybox")
        assert busybox is not None
        (drivers,) = self.tree.glob("usr/lib/modules/*/kernel/drivers")
        entries = [(name, S_IFDIR | 0o755, b"") for name in ("bin", "mods", "proc", "sys", "dev", "newroot")]
        entries.append(("bin/busybox", S_IFREG | 0o755, Path(busybox).read_bytes()))
        for module in MODULES:
            entries.append((f"mods/{Path(module).name}.ko", S_IFREG | 0o644, (drivers / f"{module}.ko").read_bytes()))
        (self.where / "initrd.gz").write_bytes(gzip.compress(archive(entries), 6, mtime=0))

    def _disk(self) -> None:
        disk = self.where / "root.img"
        with disk.open("wb") as file:
            file.truncate(DISK_SIZE)
        options = f"hash_seed={DISK_UUID},lazy_itable_init=0,lazy_journal_init=0"
        self._run(
            "mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-U", DISK_UUID, "-E", options,
            "-d", str(self.tree), str(disk),
        )  # fmt: skip

    def _run(self, *argv: str) -> None:
        """Run a tool; its failure becomes a HostError that carries what it said last."""
        # INITRD=No (initramfs-tools): this kernel boots with an initramfs of ours.
        env = {**os.environ, "INITRD": "No", "TMPDIR": str(self.where), "LC_ALL": "C.UTF-8", "PATH": search_path()}
        said = os.memfd_create("crashinit-said")
        try:
            exit_status = owned.spawn(argv, stdout=said, stderr=said, env=env).wait()
            text = os.pread(said, 1 << 20, 0).decode(errors="replace").strip()
        finally:
            os.close(said)
        if exit_status != 0:
            sentence = explain(argv, exit_status, text, self.where)
            raise UsageError(sentence) if sentence.startswith("there is no package") else HostError(sentence)


def as_root(packages: Iterable[str] = ()) -> str:
    """The command by which a user builds the image in his own cache: sudo(8) may change $HOME and $PATH."""
    command = [sys.executable, "-m", "crashinit.cli", "image", "build", *(p for p in packages if p not in PACKAGES)]
    return shlex.join(["sudo", "env", f"CRASHINIT_CACHE={cache_dir()}", *command])


def explain(argv: tuple[str, ...], exit_status: int, text: str, where: Path) -> str:
    """One sentence for a build tool that failed."""
    tool = "mmdebstrap" if "mmdebstrap" in argv else argv[0]
    if "No space left on device" in text:
        return f"the disk of '{where.parent}' is full; make room there, or set CRASHINIT_CACHE to a directory elsewhere"
    lines = text.splitlines() or ["it said nothing"]
    # mmdebstrap repeats whole command lines of apt's; what apt itself said comes first.
    errors = [line for line in lines if line.startswith("E: ")] or lines
    first = errors[0].removeprefix("E: ")
    if first.startswith("Unable to locate package"):
        return f"there is no package '{first.split()[-1]}' in Debian '{SUITE}': correct the name of the package"
    if first.startswith("Failed to fetch"):
        return f"the Debian packages of the guest image cannot be had, check the network and the proxy: {first}"
    return f"'{tool}' ended with {exit_status} while it built the guest image: {first}"


def search_path() -> str:
    """$PATH and the directories of system tools, which a plain user's $PATH lacks on Debian."""
    return ":".join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/bin", "/bin"])


def tool_path(tool: str) -> str | None:
    """Where the program `tool` is, or None."""
    return shutil.which(tool, path=search_path())


def cached_image(packages: tuple[str, ...] = ()) -> Image | None:
    """The newest image in the cache, if there is any: enough for the accelerator's probe."""
    found = [path for path in (cache_dir() / "images").glob("*") if path.is_dir() and path.suffix != ".tmp"]
    return Image(newest.name, newest) if (newest := max(found, key=lambda p: p.stat().st_mtime, default=None)) else None
