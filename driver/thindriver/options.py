"""The dm.* storage options: parsed by the rules of dockerd, checked before anything is touched."""

from __future__ import annotations

import os
import re

from .errors import DriverError, UsageError
from .kernel import SECTOR, device_number

GIB = 1 << 30
DEVICE_NAME_DIR = "/dev/mapper/"
FILESYSTEMS = ("ext4", "xfs")
BOOLEANS = {**dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
            **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False)}  # fmt: skip
# The kernel's own limits for thin pools (drivers/md/dm-thin.c): 64 KiB to 1 GiB, in steps of 64 KiB.
MIN_BLOCK, MAX_BLOCK = 128, 2097152
# Understood by dockerd 20.10, with no bearing on what this driver does; refusing them would bar its command lines.
ACCEPTED = (
    "dm.override_udev_sync_check",
    "dm.use_deferred_removal",
    "dm.use_deferred_deletion",
    "dm.min_free_space",
    "dm.xfs_nospace_max_retries",
    "dm.libdm_log_level",
)


def ram_in_bytes(text: str) -> int:
    """'64M' -> 67108864: binary multiples, suffix k to p in any case, an optional b. Raises UsageError."""
    match = re.fullmatch(r"(\d+)([kKmMgGtTpP])?[bB]?", text, re.ASCII)
    if not match:
        raise UsageError(f"invalid size '{text}': write a number with an optional suffix k, m, g, t or p")
    return int(match[1]) << (10 * (" kmgtp".index(match[2].lower()) if match[2] else 0))


class Options:
    """Storage options. Sizes are in bytes, `block_size` in sectors of 512 bytes."""

    def __init__(self, given: list[str]) -> None:
        self.base_size = 10 * GIB
        self.data_size = 100 * GIB
        self.metadata_size = 2 * GIB
        self.filesystem = "ext4"
        self.mkfs_arguments: list[str] = []
        self.mount_options: list[str] = []
        self.data_device = ""
        self.metadata_device = ""
        self.pool = ""  # name of a given thin pool, without /dev/mapper/
        self.block_size = 128
        self.discard = True
        self.given: set[str] = set()  # keys that were set explicitly
        for option in given:
            self._set(option)
        if (self.data_device or self.pool) and "dm.blkdiscard" not in self.given:
            self.discard = False
        self._check()

    def _set(self, option: str) -> None:
        key, equals, value = option.partition("=")
        if not equals:
            raise UsageError(f"cannot parse the storage option '{option}': write key=value")
        key, value = key.strip().lower(), value.strip()
        self.given.add(key)
        match key:
            case "dm.basesize":
                self.base_size = ram_in_bytes(value)
            case "dm.loopdatasize":
                self.data_size = ram_in_bytes(value)
            case "dm.loopmetadatasize":
                self.metadata_size = ram_in_bytes(value)
            case "dm.fs":
                if value not in FILESYSTEMS:
                    raise UsageError(f"unsupported file system '{value}': dm.fs takes 'ext4' or 'xfs'")
                self.filesystem = value
            case "dm.mkfsarg":
                self.mkfs_arguments.append(value)
            case "dm.mountopt":
                self.mount_options.append(value)
            case "dm.datadev":
                self.data_device = value
            case "dm.metadatadev":
                self.metadata_device = value
            case "dm.thinpooldev":
                self.pool = value.removeprefix(DEVICE_NAME_DIR)
            case "dm.blkdiscard":
                if value not in BOOLEANS:
                    raise UsageError(f"invalid value '{value}' for dm.blkdiscard: write 'true' or 'false'")
                self.discard = BOOLEANS[value]
            case "dm.blocksize":
                self.block_size = ram_in_bytes(value) // SECTOR
            case _ if key not in ACCEPTED:
                raise UsageError(f"unknown storage option '{key}'")

    def _check(self) -> None:
        if self.block_size % MIN_BLOCK or not MIN_BLOCK <= self.block_size <= MAX_BLOCK:
            raise UsageError("dm.blocksize must be a multiple of 64K between 64K and 1G")
        for key, size in (
            ("dm.basesize", self.base_size),
            ("dm.loopdatasize", self.data_size),
            ("dm.loopmetadatasize", self.metadata_size),
        ):
            if size < SECTOR or size % SECTOR:
                raise UsageError(f"{key} must be a positive multiple of {SECTOR} bytes, not {size}")
        for key, path in (("dm.datadev", self.data_device), ("dm.metadatadev", self.metadata_device)):
            if key in self.given and not path:
                raise UsageError(f"{key} needs the path of a block device")
        if "dm.thinpooldev" in self.given and not self.pool:
            raise UsageError("dm.thinpooldev needs the name of a thin pool")
        if self.pool and (self.data_device or self.metadata_device):
            raise UsageError("dm.thinpooldev cannot be given together with dm.datadev or dm.metadatadev")
        if self.data_device and os.path.realpath(self.data_device) == os.path.realpath(self.metadata_device or "/"):
            raise UsageError(f"dm.datadev and dm.metadatadev are the same device, '{self.data_device}'")

    def check_devices(self) -> None:
        """Raise DriverError unless the given devices are block devices, and two different ones."""
        data = device_number(self.data_device) if self.data_device else ""
        metadata = device_number(self.metadata_device) if self.metadata_device else ""
        if data and data == metadata:
            raise DriverError(f"dm.datadev and dm.metadatadev are the same device, '{self.data_device}'")
