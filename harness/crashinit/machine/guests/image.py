"""The guest image: root disk, kernel and first initramfs, made from Debian packages.

Root is needed to build it (ownership of the files), not to use it. Nothing is mounted: mke2fs(8) fills the
disk from a directory.
"""

import gzip
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crashinit.errors import HostError, UsageError
from crashinit.machine import owned
from crashinit.machine.cache import MIB, Shelf, cache_dir, digest, require_space
from crashinit.machine.guests import DEFAULT, Guest, load, modules
from crashinit.machine.guests.packages import checked
from crashinit.machine.payload import S_IFDIR, S_IFREG, archive

PACKAGES = (
    "dmsetup", "e2fsprogs", "iproute2", "kmod", "less", "mount", "procps", "python3", "python3-pyudev",
    "strace", "thin-provisioning-tools", "udev", "util-linux", "vim-tiny", "xfsprogs",
)  # fmt: skip
# Documentation and translations: half of what small packages unpack, and nobody reads them there.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
DISK_SIZE = 2048 * MIB  # of the root disk; sparse
SPACE_TO_BUILD = 1536 * MIB  # tree, disk and downloads of one image
# A fixed UUID and hash seed: equal trees give equal directories on equal disks.
DISK_UUID = "c4a5417e-0000-4000-8000-000000000001"
KEEP = 12  # of all guests, with all adapters' packages
FACTS = "facts.json"
NO_SUITE = r"The repository '(\S+) (\S+) Release' does not have a Release file"  # what apt says
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

    @property
    def facts(self) -> dict[str, Any]:
        """What is in it: its guest, the kernel, the packages with their versions."""
        found: dict[str, Any] = json.loads((self.path / FACTS).read_text())
        return found


def image(
    packages: tuple[str, ...] = (), *, guest: Guest | None = None, note: Callable[[str], None] = lambda text: None
) -> Image:
    """The image of a guest, by default the default one, with the standard packages and these: from the cache or built
    now (about a minute).

    Raises UsageError for a package or suite that does not exist or whose name is none, HostError: a tool or root is
    missing, the disk is full, a package cannot be had.
    """
    guest = guest or load(DEFAULT)
    wanted, key = _wanted(guest, packages)

    def build(where: Path) -> None:
        recipe = Recipe(where, wanted, guest)
        recipe.check()
        note(f"building the image of {guest.title} from packages, about a minute (once)")
        recipe.build()

    return Image(key, Shelf("images", KEEP, note).get(key, build))


def cached(guest: Guest, packages: tuple[str, ...] = ()) -> Image | None:
    """The same if it is in the cache, else None."""
    _, key = _wanted(guest, packages)
    path = cache_dir() / "images" / key
    return Image(key, path) if path.is_dir() else None


def _wanted(guest: Guest, packages: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The packages of an image, and its key."""
    wanted = tuple(sorted({*PACKAGES, *guest.named_packages(), *checked(packages)}))
    sources = [Path(file).read_bytes() for file in (__file__, modules.__file__)]
    return wanted, digest(guest.digest(), *wanted, *sources)


class Recipe:
    """How an image is made in the directory `where`."""

    def __init__(self, where: Path, packages: tuple[str, ...], guest: Guest | None = None) -> None:
        self.where = where
        self.packages = checked(packages)
        self.guest = guest or load(DEFAULT)
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
                "building the guest image needs root (once, later runs do not): "
                f"run '{as_root(self.packages, self.guest)}'"
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
        # Of a suite that moves, a mirror's list may be older than it says that it may be.
        options.append('--aptopt=Acquire::Check-Valid-Until "false"')
        if self.guest.suite != self.guest.base:
            options.append(f'--aptopt=APT::Default-Release "{self.guest.suite}"')
        self._run(
            # The pid namespace ends with its first process, so an interrupted build leaves no apt or dpkg at work.
            "unshare", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc",
            "mmdebstrap", "--variant=minbase", "--format=directory", "--architectures=amd64",
            '--aptopt=Acquire::Languages "none"', *options, f"--include={','.join(self.packages)}",
            # Byte code made now is byte code that no emulated CPU has to make.
            '--customize-hook=chroot "$1" sh -c "python3 -m compileall -q /usr/lib/python3 /usr/lib/python3.*"',
            self.guest.base, str(self.tree), *self.guest.lines(),
        )  # fmt: skip

    def _kernel(self) -> None:
        """Take the kernel, and write down which it is and what else was installed."""
        if own := self.guest.kernel_files():
            kernel, files = own
            if files:
                target = self.tree / "usr/lib/modules" / files.name
                shutil.copytree(files, target, symlinks=True, ignore=shutil.ignore_patterns("build", "source"))
                self._run("chroot", str(self.tree), "depmod", files.name)
        else:
            found = list(self.tree.glob("boot/vmlinuz-*"))
            if len(found) != 1:
                raise UsageError(
                    f"the guest '{self.guest.name}' has {len(found)} kernels in its packages: name the one to boot as "
                    "'package' in '[kernel]', and no other package that brings one"
                )
            (kernel,) = found
        shutil.copyfile(kernel, self.where / "vmlinuz")
        shutil.rmtree(self.tree / "boot")
        self._facts(release(self.where / "vmlinuz"))

    def _facts(self, kernel: str) -> None:
        listed = self._run("dpkg-query", f"--admindir={self.tree}/var/lib/dpkg", "-W", "-f", "${Package} ${Version}\n")
        facts = {
            "guest": self.guest.name,
            "suite": self.guest.suite,
            "kernel": kernel,
            "asked": list(self.packages),
            "packages": dict(line.split(" ") for line in listed.splitlines()),
        }
        (self.where / FACTS).write_text(json.dumps(facts, indent=1) + "\n")

    def _initrd(self) -> None:
        busybox = tool_path("busybox")
        assert busybox is not None
        directories = list(self.tree.glob("usr/lib/modules/*/modules.dep"))
        contents = [(name, S_IFDIR | 0o755, b"") for name in ("bin", "mods", "proc", "sys", "dev", "newroot")]
        contents.append(("bin/busybox", S_IFREG | 0o755, Path(busybox).read_bytes()))
        for name, data in modules.entries(modules.Modules(directories[0].parent) if directories else None):
            contents.append((f"mods/{name}", S_IFREG | 0o644, data))
        (self.where / "initrd.gz").write_bytes(gzip.compress(archive(contents), 6, mtime=0))

    def _disk(self) -> None:
        disk = self.where / "root.img"
        with disk.open("wb") as file:
            file.truncate(DISK_SIZE)
        options = f"hash_seed={DISK_UUID},lazy_itable_init=0,lazy_journal_init=0"
        self._run(
            "mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-U", DISK_UUID, "-E", options,
            "-d", str(self.tree), str(disk),
        )  # fmt: skip

    def _run(self, *argv: str) -> str:
        """Run a tool, and give what it said; its failure becomes a HostError that carries what it said last."""
        # INITRD=No (initramfs-tools): this kernel boots with an initramfs of ours.
        env = {**os.environ, "INITRD": "No", "TMPDIR": str(self.where), "LC_ALL": "C.UTF-8", "PATH": search_path()}
        said = os.memfd_create("crashinit-said")
        try:
            exit_status = owned.spawn(argv, stdout=said, stderr=said, env=env).wait()
            text = os.pread(said, 1 << 20, 0).decode(errors="replace").strip()
        finally:
            os.close(said)
        if exit_status != 0:
            sentence = explain(argv, exit_status, text, self.where, self.guest)
            raise UsageError(sentence) if sentence.startswith("there is no ") else HostError(sentence)
        return text


def release(kernel: Path) -> str:
    """Which kernel a bzImage is, by its header (Documentation/arch/x86/boot.rst). Raises UsageError."""
    with kernel.open("rb") as file:
        head = file.read(1 << 16)
    if head[0x202:0x206] != b"HdrS":
        raise UsageError(f"'{kernel}' is no kernel: 'image' must be a bzImage")
    begin = int.from_bytes(head[0x20E:0x210], "little") + 0x200
    return head[begin : begin + 256].split(b"\0")[0].decode(errors="replace").split(" ")[0]


def as_root(packages: Iterable[str] = (), guest: Guest | None = None) -> str:
    """The command by which a user builds the image in his own cache: sudo(8) may change $HOME and $PATH."""
    guest = guest or load(DEFAULT)
    known = {*PACKAGES, *guest.named_packages()}
    command = [sys.executable, "-m", "crashinit.cli", "image", "build", *(p for p in packages if p not in known)]
    which = [] if guest.name == DEFAULT else ["--guest", guest.source]
    return shlex.join(["sudo", "env", f"CRASHINIT_CACHE={cache_dir()}", *command, *which])


def explain(argv: tuple[str, ...], exit_status: int, text: str, where: Path, guest: Guest) -> str:
    """One sentence for a build tool that failed."""
    tool = "mmdebstrap" if "mmdebstrap" in argv else argv[0]
    if "No space left on device" in text:
        return f"the disk of '{where.parent}' is full; make room there, or set CRASHINIT_CACHE to a directory elsewhere"
    lines = text.splitlines() or ["it said nothing"]
    # mmdebstrap repeats whole command lines of apt's; what apt itself said comes first.
    errors = [line for line in lines if line.startswith("E: ")] or lines
    first = errors[0].removeprefix("E: ")
    if first.startswith("Unable to locate package"):
        return f"there is no package '{first.split()[-1]}' in '{guest.suite}': correct the name of the package"
    if missing := re.findall(NO_SUITE, text):
        archive, suite = min(missing, key=lambda found: len(found[1]))  # not the one with its updates
        return f"there is no suite '{suite}' at '{archive}': correct 'suite' in the guest '{guest.name}'"
    if first.startswith("Failed to fetch"):
        return f"the packages of the guest image cannot be had, check the network and the proxy: {first}"
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
