"""The kernel modules that the initramfs loads: found in a kernel's directory, packed or not, after what they need.

What a kernel has built in is no file there, and needs none.
"""

import gzip
import lzma
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from crashinit.errors import HostError

# What the root disk needs; a distribution's kernel has some of these built in, and loads the rest by modules.dep.
DISK = ("virtio_pci", "virtio_blk")
# The same where it is memory: nfit finds the memory in the firmware's tables.
MEMORY = ("nd_pmem", "nfit")
UNPACKERS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".xz": lzma.decompress, ".gz": gzip.decompress}
ZSTD = ".zst"


class Modules:
    """The modules of one kernel: the directory that is called as its release."""

    def __init__(self, directory: Path) -> None:
        """Raises HostError when the directory has no list of dependencies."""
        self.directory = directory
        try:
            lines = (directory / "modules.dep").read_text().splitlines()
        except FileNotFoundError:
            raise HostError(f"'{directory}' has no 'modules.dep': run 'depmod' for this kernel") from None
        self._needs = {path: needs.split() for path, _, needs in (line.partition(":") for line in lines)}
        self._paths = {named(path): path for path in self._needs}

    def closure(self, wanted: Iterable[str]) -> list[str]:
        """The files of these modules and of all that they need, each after what it needs; none of a built-in one."""
        found: dict[str, None] = {}
        for name in wanted:
            self._add(self._paths.get(name), found)
        return list(found)

    def _add(self, path: str | None, found: dict[str, None]) -> None:
        if path is None or path in found:
            return
        for needed in self._needs[path]:
            self._add(needed, found)
        found[path] = None

    def content(self, path: str) -> bytes:
        """A module as the kernel takes it. Raises HostError when it cannot be unpacked."""
        data = (self.directory / path).read_bytes()
        ending = path.rpartition(".ko")[2]
        if ending == ZSTD:
            return _unzstd(data, path)
        if ending not in UNPACKERS:
            raise HostError(f"the kernel's module '{path}' is packed in a way that is not known here")
        return UNPACKERS[ending](data)


def named(path: str) -> str:
    """What the kernel calls the module in that file."""
    return Path(path).name.partition(".ko")[0].replace("-", "_")


def _unzstd(data: bytes, path: str) -> bytes:
    try:
        return subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise HostError("the kernel's modules are packed: run 'apt-get install --no-install-recommends zstd'") from None
    except subprocess.CalledProcessError as problem:
        raise HostError(f"the kernel's module '{path}' cannot be unpacked: {problem.stderr.decode().strip()}") from None


def entries(modules: Modules | None) -> Iterator[tuple[str, bytes]]:
    """What the initramfs gets below its 'mods': the modules, and for each kind of root disk the order of them."""
    kept: dict[str, bytes] = {}
    for kind, wanted in (("disk", DISK), ("memory", MEMORY)):
        files = modules.closure(wanted) if modules else []
        for path in files if modules else ():
            kept.setdefault(f"{named(path)}.ko", modules.content(path) if modules else b"")
        yield f"{kind}.order", " ".join(map(named, files)).encode()
    yield from kept.items()
