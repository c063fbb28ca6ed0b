"""What a driver was asked for, out of its adapter and its storage options.

The `dm.*` options are those of Docker's devicemapper driver, which dockerd, containers-storage and thindriver share;
a driver with other options states what is to be expected in its adapter's [expect] table.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from crashinit.contract.expectation import Asked, Expectation, common
from crashinit.errors import UsageError

GIB = 1 << 30
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": GIB, "t": 1 << 40, "p": 1 << 50}
DEFAULTS: Mapping[str, Any] = {
    # docs/seed.md: the defaults of the original
    "fstype": "ext4",
    "base_size": 10 * GIB,
    "data_size": 100 * GIB,
    "metadata_size": 2 * GIB,
}
SIZES = {
    "dm.basesize": "base_size",
    "dm.loopdatasize": "data_size",
    "dm.loopmetadatasize": "metadata_size",
    "dm.blocksize": "block_size",
}
DEVICES = {"dm.datadev": "data_device", "dm.metadatadev": "metadata_device"}
DISK = re.compile(r"/dev/vd([a-z])(\d*)")
# A machine's disks: the first block driver to get a number gets the highest (register_blkdev() in block/genhd.c), and
# each disk has 16 minor numbers (PART_BITS in drivers/block/virtio_blk.c).
DISK_MAJOR, DISK_MINORS = 254, 16


class PoolExpectation(Expectation):
    """The configuration of a thin pool. The names of pool and base depend on the root's inode, so the observation
    carries them. All sizes are in bytes."""

    data_size: int
    metadata_size: int
    block_size: int = 65536
    low_water_mark: int = 32768  # blocks of the pool
    features: tuple[str, ...] = ("skip_block_zeroing",)
    backing: Literal["loop", "block", "given"] = "loop"  # "given": the pool itself was handed to the driver
    data_file: str = "devicemapper/data"  # relative to the root; backing "loop"
    metadata_file: str = "devicemapper/metadata"
    data_device: str = ""  # "major:minor"; backing "block"
    metadata_device: str = ""


def expected(asked: Asked) -> PoolExpectation:
    """What one init with these options is to bring about. Raises UsageError."""
    known: dict[str, Any] = {**DEFAULTS, **asked.stated}
    for option in asked.options:
        key, _, value = (part.strip() for part in option.partition("="))
        if key in SIZES:
            known[SIZES[key]] = size(value)
        elif key in DEVICES:
            known |= {DEVICES[key]: number(value), "backing": "block"}
        elif key == "dm.fs":
            known["fstype"] = value
    return PoolExpectation(**common(asked), **known)


def disk_sizes(expectation: Expectation) -> Sequence[int]:
    """Bytes of the disks that the pool's data and metadata may lie on."""
    assert isinstance(expectation, PoolExpectation)
    return [expectation.data_size, expectation.metadata_size]


def disk_options(nodes: Sequence[str]) -> tuple[str, ...]:
    """Storage options that lead the driver to these disks."""
    return f"dm.datadev={nodes[0]}", f"dm.metadatadev={nodes[1]}"


def disk_devices(nodes: Sequence[str]) -> Mapping[str, str]:
    """Where the probe then finds what is below the pool."""
    return {"data": nodes[0], "metadata": nodes[1]}


def number(node: str) -> str:
    """ "major:minor" of a machine's disk or partition; raises UsageError for any other device."""
    match = DISK.fullmatch(node)
    if not match:
        raise UsageError(f"the storage option's device '{node}' is no disk of a machine, such as '/dev/vdb'.")
    return f"{DISK_MAJOR}:{(ord(match[1]) - ord('a')) * DISK_MINORS + int(match[2] or 0)}"


def size(text: str) -> int:
    """Bytes of '64M' or '1g', binary multiples; raises UsageError."""
    match = re.fullmatch(r"(\d+)([kmgtp]?)b?", text.strip().lower())
    if not match:
        raise UsageError(f"the storage option's size '{text}' is not of the form '64M'.")
    return int(match[1]) * UNITS[match[2]]
