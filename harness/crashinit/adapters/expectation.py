"""What a driver was asked for, out of its adapter and its storage options.

The `dm.*` options are those of Docker's devicemapper driver, which dockerd, containers-storage and thindriver share;
a driver with other options states what is to be expected in its adapter's [expect] table.
"""

import re
from collections.abc import Mapping
from typing import Any

from crashinit.adapters.adapter import Adapter
from crashinit.contract.expectation import Expectation
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


def expectation_of(adapter: Adapter, options: tuple[str, ...], deadline: float) -> Expectation:
    """What one init with these options is to bring about."""
    known: dict[str, Any] = {**DEFAULTS, **adapter.expect}
    for option in (*adapter.options, *options):
        key, _, value = (part.strip() for part in option.partition("="))
        if key in SIZES:
            known[SIZES[key]] = size(value)
        elif key in DEVICES:
            known |= {DEVICES[key]: number(value), "backing": "block"}
        elif key == "dm.fs":
            known["fstype"] = value
    return Expectation(
        metadata_format=adapter.metadata,
        deadline=deadline,
        not_applicable=adapter.not_applicable,
        **known,
    )


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
