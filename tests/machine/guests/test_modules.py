"""The modules of the initramfs: packed, built in, and in the order of their needs."""

import gzip
import lzma
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from crashinit.errors import HostError
from crashinit.machine.guests.modules import Modules, entries, named

PACKERS: dict[str, Callable[[bytes], bytes]] = {".xz": lzma.compress, ".gz": gzip.compress}


def kernel(directory: Path, **files: str) -> Modules:
    """A kernel's directory with these modules; each key is a file's name with '_' for '.', its value what it needs."""
    lines = []
    for name, needs in files.items():
        path = directory / name.replace("__", ".")
        content = path.name.encode()
        ending = path.name.rpartition(".ko")[2]
        if ending == ".zst":
            content = subprocess.run(["zstd", "-c"], input=content, capture_output=True, check=True).stdout
        path.write_bytes(PACKERS.get(ending, bytes)(content))
        lines.append(f"{path.name}: {needs}")
    (directory / "modules.dep").write_text("".join(f"{line}\n" for line in lines))
    return Modules(directory)


def test_each_comes_after_what_it_needs(tmp_path: Path) -> None:
    """insmod loads one file: what a module needs must be there, needs of needs included."""
    modules = kernel(tmp_path, virtio_blk__ko="virtio.ko", virtio__ko="virtio-ring.ko", **{"virtio-ring__ko": ""})

    order = dict(entries(modules))["disk.order"]

    assert order == b"virtio_ring virtio virtio_blk"


@pytest.mark.parametrize("ending", ["", ".xz", ".gz", ".zst"])
def test_packed_modules_are_unpacked(tmp_path: Path, ending: str) -> None:
    """busybox's insmod takes none that is packed."""
    file = f"virtio_blk.ko{ending}"
    modules = kernel(tmp_path, **{file.replace(".", "__"): ""})

    assert dict(entries(modules))["virtio_blk.ko"] == file.encode()


def test_what_is_built_in_is_no_file(tmp_path: Path) -> None:
    """It needs none: a kernel without any of these modules gives empty orders, and so does one without modules."""
    assert dict(entries(kernel(tmp_path))) == {"disk.order": b"", "memory.order": b""}
    assert dict(entries(None)) == {"disk.order": b"", "memory.order": b""}


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """One sentence each: no list of dependencies, an unknown packing, and a damaged file."""
    with pytest.raises(HostError, match=r"has no 'modules.dep': run 'depmod'"):
        Modules(tmp_path)
    with pytest.raises(HostError, match=r"'virtio_blk.ko.lz9' is packed in a way that is not known"):
        list(entries(kernel(tmp_path, virtio_blk__ko__lz9="")))
    (tmp_path / "virtio_blk.ko.zst").write_bytes(b"no zstd")
    with pytest.raises(HostError, match=r"'virtio_blk.ko.zst' cannot be unpacked"):
        Modules(tmp_path).content("virtio_blk.ko.zst")


def test_a_module_is_called_as_the_kernel_calls_it() -> None:
    """Whatever its file is called."""
    assert named("kernel/drivers/md/dm-thin-pool.ko.xz") == "dm_thin_pool"
