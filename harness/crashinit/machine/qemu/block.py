"""The block nodes of a QEMU: what its disks are to it."""

from collections.abc import Sequence
from dataclasses import dataclass

from crashinit.machine.files import File

LOG_SECTOR = 512  # bytes; of the log's own layout


@dataclass(frozen=True)
class Layer:
    """One layer of the root disk."""

    file: File
    format: str  # "raw" or "qcow2"


def handed(file: File) -> str:
    """By which name a QEMU opens a file that it was started with: it gets that descriptor again (-add-fd)."""
    return f"/dev/fdset/{file.fd}"


def firmware_node(file: File) -> dict[str, object]:
    """The firmware's node, named 'firmware'."""
    return {
        "driver": "file", "node-name": "firmware", "filename": handed(file), "read-only": True, "locking": "off",
    }  # fmt: skip


def root_nodes(layers: Sequence[Layer]) -> list[dict[str, object]]:
    """The block nodes of the root disk, each over the one before; the top one is named 'root'."""
    nodes: list[dict[str, object]] = []
    for number, layer in enumerate(layers):
        top = number == len(layers) - 1
        file = f"file{number}"
        # no-flush: a power cut is the guest's, not the host's; what the guest has written stays in the host's cache.
        cache_options = {"no-flush": True}
        nodes.append(
            {
                "driver": "file", "node-name": file, "filename": handed(layer.file), "read-only": not top,
                "locking": "off", "cache": cache_options,
            }
        )  # fmt: skip
        node: dict[str, object] = {
            "driver": layer.format, "node-name": "root" if top else f"layer{number}", "file": file,
            "read-only": not top, "cache": cache_options,
        }  # fmt: skip
        if layer.format == "qcow2":
            node["backing"] = f"layer{number - 1}"
        nodes.append(node)
    return nodes


def plugged_node(node: str, disk: str, log: str | None) -> dict[str, object]:
    """The block node of a plugged-in disk; its files by the names that QEMU knows them by."""

    def file(name: str) -> dict[str, object]:
        return {
            "driver": "file", "filename": name, "locking": "off", "discard": "unmap", "cache": {"no-flush": True},
        }  # fmt: skip

    if log is None:
        return {"driver": "raw", "node-name": node, "file": file(disk), "discard": "unmap"}
    return {
        # Not no-flush here: a flush that is not passed on is not logged either.
        "driver": "blklogwrites", "node-name": node, "file": file(disk), "log": file(log), "discard": "unmap",
        "log-sector-size": LOG_SECTOR, "log-super-update-interval": 1,
    }  # fmt: skip
