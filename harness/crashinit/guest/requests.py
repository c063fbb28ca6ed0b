"""The requests of ioctl(2) that change storage, and those that ask about it.

Sources: <linux/fs.h>, <linux/loop.h>, <linux/dm-ioctl.h>, <linux/blkzoned.h>, <linux/nbd.h>, <linux/btrfs.h>,
fs/ext4/ext4.h, fs/xfs/libxfs/xfs_fs.h. A request is known by its type and number (_IOC_TYPE, _IOC_NR), for that is what
device-mapper looks at; where another request bears the same two, its direction tells them apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from . import dm

WRITE, READ = 1, 2  # _IOC_WRITE, _IOC_READ: the two bits of a request's direction
Sort = Literal["dm", "loop", "dev", "file", "fs", "btrfs", "nbd"]


@dataclass(frozen=True)
class Request:
    """One request: its name in the kernel's header, and the operation that it is."""

    name: str
    kind: str
    direction: int | None = None  # None: whatever it names

    @property
    def sort(self) -> str:
        """What it is about, the first word of its kind."""
        return self.kind.partition(".")[0]


Table = dict[int, tuple[Request, ...]]


def code(kind: int, number: int) -> int:
    """Type and number as they stand in a request."""
    return kind << 8 | number


def _table(*groups: tuple[int, Mapping[int, Request | tuple[Request, ...]]]) -> Table:
    found: Table = {}
    for kind, requests in groups:
        for number, request in requests.items():
            found[code(kind, number)] = request if isinstance(request, tuple) else (request,)
    return found


DM = {
    dm.DM_REMOVE_ALL: Request("DM_REMOVE_ALL", "dm.remove"),
    dm.DM_DEV_CREATE: Request("DM_DEV_CREATE", "dm.create"),
    dm.DM_DEV_REMOVE: Request("DM_DEV_REMOVE", "dm.remove"),
    dm.DM_DEV_RENAME: Request("DM_DEV_RENAME", "dm.rename"),
    dm.DM_DEV_SUSPEND: Request("DM_DEV_SUSPEND", "dm.suspend"),  # or dm.resume, by its flag
    dm.DM_TABLE_LOAD: Request("DM_TABLE_LOAD", "dm.table-load"),
    dm.DM_TABLE_CLEAR: Request("DM_TABLE_CLEAR", "dm.table-clear"),
    dm.DM_TARGET_MSG: Request("DM_TARGET_MSG", "dm.message"),
    dm.DM_DEV_SET_GEOMETRY: Request("DM_DEV_SET_GEOMETRY", "dm.set-geometry"),
}
DM_QUERIES = {
    dm.DM_VERSION: Request("DM_VERSION", "dm.version"),
    dm.DM_LIST_DEVICES: Request("DM_LIST_DEVICES", "dm.list"),
    dm.DM_DEV_STATUS: Request("DM_DEV_STATUS", "dm.info"),
    dm.DM_DEV_WAIT: Request("DM_DEV_WAIT", "dm.wait"),
    dm.DM_TABLE_DEPS: Request("DM_TABLE_DEPS", "dm.deps"),
    dm.DM_TABLE_STATUS: Request("DM_TABLE_STATUS", "dm.status"),  # or dm.table, by its flag
    dm.DM_LIST_VERSIONS: Request("DM_LIST_VERSIONS", "dm.targets"),
}
LOOP = {
    0x00: Request("LOOP_SET_FD", "loop.set-fd"),
    0x01: Request("LOOP_CLR_FD", "loop.clr-fd"),
    0x02: Request("LOOP_SET_STATUS", "loop.set-status"),
    0x04: Request("LOOP_SET_STATUS64", "loop.set-status"),
    0x06: Request("LOOP_CHANGE_FD", "loop.set-fd"),
    0x07: Request("LOOP_SET_CAPACITY", "loop.set-capacity"),
    0x08: Request("LOOP_SET_DIRECT_IO", "loop.set-status"),
    0x09: Request("LOOP_SET_BLOCK_SIZE", "loop.set-status"),
    0x0A: Request("LOOP_CONFIGURE", "loop.configure"),
    0x80: Request("LOOP_CTL_ADD", "loop.get-free"),
    0x81: Request("LOOP_CTL_REMOVE", "loop.clr-fd"),
    0x82: Request("LOOP_CTL_GET_FREE", "loop.get-free"),
}
LOOP_QUERIES = {
    0x03: Request("LOOP_GET_STATUS", "loop.get-status"),
    0x05: Request("LOOP_GET_STATUS64", "loop.get-status"),
}
BLOCK = {
    93: Request("BLKROSET", "dev.set-read-only"),
    95: Request("BLKRRPART", "dev.read-partitions"),
    97: Request("BLKFLSBUF", "dev.flush"),
    105: Request("BLKPG", "dev.partition"),
    113: Request("BLKBSZSET", "dev.set-block-size"),
    119: Request("BLKDISCARD", "dev.discard"),
    125: Request("BLKSECDISCARD", "dev.discard"),
    127: Request("BLKZEROOUT", "dev.discard"),
    131: Request("BLKRESETZONE", "dev.zone"),
    134: Request("BLKOPENZONE", "dev.zone"),
    135: Request("BLKCLOSEZONE", "dev.zone"),
    136: Request("BLKFINISHZONE", "dev.zone"),
}
BLOCK_QUERIES = {96: Request("BLKGETSIZE", "dev.get-size"), 114: Request("BLKGETSIZE64", "dev.get-size")}
NBD = {
    number: Request(f"NBD_{name}", f"nbd.{name.lower().replace('_', '-')}")
    for number, name in {
        0: "SET_SOCK", 1: "SET_BLKSIZE", 2: "SET_SIZE", 3: "DO_IT", 4: "CLEAR_SOCK", 5: "CLEAR_QUE",
        7: "SET_SIZE_BLOCKS", 8: "DISCONNECT", 9: "SET_TIMEOUT", 10: "SET_FLAGS",
    }.items()
}  # fmt: skip
EXT4 = {  # type 'f', of which FS_IOC_SETFLAGS is every file system's
    2: Request("FS_IOC_SETFLAGS", "file.set-flags"),
    4: Request("FS_IOC_SETVERSION", "file.set-flags"),
    7: Request("EXT4_IOC_GROUP_EXTEND", "fs.resize"),
    8: Request("EXT4_IOC_GROUP_ADD", "fs.resize"),
    9: Request("EXT4_IOC_MIGRATE", "file.migrate"),
    12: Request("EXT4_IOC_ALLOC_DA_BLKS", "file.fsync"),
    15: Request("EXT4_IOC_MOVE_EXT", "file.move-extents"),
    16: Request("EXT4_IOC_RESIZE_FS", "fs.resize"),
    17: Request("EXT4_IOC_SWAP_BOOT", "file.swap-boot"),
    43: Request("EXT4_IOC_CHECKPOINT", "fs.checkpoint"),
    44: Request("EXT4_IOC_SETFSUUID", "fs.set-uuid", WRITE),
}
XFS = {  # type 'X', some of them every file system's
    32: Request("FS_IOC_FSSETXATTR", "file.set-flags"),
    36: Request("XFS_IOC_ALLOCSP64", "file.allocate"),
    37: Request("XFS_IOC_FREESP64", "file.allocate"),
    40: Request("XFS_IOC_RESVSP", "file.allocate"),
    41: Request("XFS_IOC_UNRESVSP", "file.allocate"),
    42: Request("XFS_IOC_RESVSP64", "file.allocate"),
    43: Request("XFS_IOC_UNRESVSP64", "file.allocate"),
    57: Request("XFS_IOC_ZERO_RANGE", "file.allocate"),
    60: Request("XFS_IOC_SCRUB_METADATA", "fs.scrub"),
    109: Request("XFS_IOC_SWAPEXT", "file.move-extents"),
    110: Request("XFS_IOC_FSGROWFSDATA", "fs.resize"),
    111: Request("XFS_IOC_FSGROWFSLOG", "fs.resize"),
    112: Request("XFS_IOC_FSGROWFSRT", "fs.resize"),
    114: Request("XFS_IOC_SET_RESBLKS", "fs.reserve"),
    119: Request("FIFREEZE", "fs.freeze"),
    120: Request("FITHAW", "fs.thaw"),
    121: Request("FITRIM", "fs.trim"),
    125: Request("XFS_IOC_GOINGDOWN", "fs.shut-down"),
}


def _btrfs(name: str, direction: int | None = None) -> Request:
    return Request(f"BTRFS_IOC_{name}", f"btrfs.{name.lower().replace('_', '-')}", direction)


BTRFS: dict[int, Request | tuple[Request, ...]] = {  # type 0x94, some of them every file system's
    **{
        number: _btrfs(name)
        for number, name in {
            1: "SNAP_CREATE", 2: "DEFRAG", 3: "RESIZE", 4: "SCAN_DEV", 5: "FORGET_DEV", 8: "SYNC", 10: "ADD_DEV",
            11: "RM_DEV", 12: "BALANCE", 14: "SUBVOL_CREATE", 15: "SNAP_DESTROY", 16: "DEFRAG_RANGE",
            19: "DEFAULT_SUBVOL", 22: "WAIT_SYNC", 23: "SNAP_CREATE_V2", 26: "SUBVOL_SETFLAGS", 27: "SCRUB",
            28: "SCRUB_CANCEL", 32: "BALANCE_V2", 33: "BALANCE_CTL", 37: "SET_RECEIVED_SUBVOL", 40: "QUOTA_CTL",
            41: "QGROUP_ASSIGN", 42: "QGROUP_CREATE", 43: "QGROUP_LIMIT", 44: "QUOTA_RESCAN", 53: "DEV_REPLACE",
            58: "RM_DEV_V2", 63: "SNAP_DESTROY_V2",
        }.items()
    },
    9: Request("FICLONE", "file.clone"),
    13: Request("FICLONERANGE", "file.clone"),
    24: (_btrfs("SUBVOL_CREATE_V2", WRITE), _btrfs("START_SYNC", READ)),
    50: Request("FS_IOC_SETFSLABEL", "fs.set-label"),
    54: Request("FIDEDUPERANGE", "file.clone"),
    57: _btrfs("SET_FEATURES", WRITE),
    64: _btrfs("ENCODED_WRITE", WRITE),
}  # fmt: skip

CHANGING = _table(
    (dm.DM_IOCTL, DM), (ord("L"), LOOP), (0x12, BLOCK), (0xAB, NBD), (ord("f"), EXT4), (ord("X"), XFS), (0x94, BTRFS)
)  # fmt: skip
QUERIES = _table((dm.DM_IOCTL, DM_QUERIES), (ord("L"), LOOP_QUERIES), (0x12, BLOCK_QUERIES))


def register(table: Table) -> None:
    """Have these requests stopped as well, from the next run on: a family's part knows them."""
    CHANGING.update(table)


def request_of(number: int) -> Request | None:
    """The request that a number stands for; None if it is none that counts."""
    requests = CHANGING.get(number & 0xFFFF) or QUERIES.get(number & 0xFFFF) or ()
    direction = number >> 30 & 3
    return next((one for one in requests if one.direction in (None, direction)), None)


def is_query(request: Request) -> bool:
    """Whether it changes nothing."""
    return any(request in requests for requests in QUERIES.values())
