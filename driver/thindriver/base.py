"""The base device's file system: made, flushed, and recognised by its UUID."""

from __future__ import annotations

import errno
import os
import struct

from . import kernel
from .errors import DriverError, doing

EXT4_SUPERBLOCK, EXT4_MAGIC = 1024, 0xEF53  # fs/ext4/ext4.h: s_magic at 0x38, s_uuid at 0x68
SAID = 1000  # characters of a program's complaint
OWN_WORDS = {  # what e2fsprogs says in place of the kernel's words (misc/util.c)
    "is apparently in use by the system": errno.EBUSY,
    "does not exist and no size was specified": errno.ENOENT,
}
XFS_MAGIC = b"XFSB"  # fs/xfs/libxfs/xfs_format.h: sb_magicnum at 0, sb_uuid at 32


def needed_program(filesystem: str) -> str:
    """The program that makes this file system."""
    return f"mkfs.{filesystem}"


def check_tools(filesystem: str) -> None:
    """Raise DriverError when the program that makes this file system is not installed."""
    program = needed_program(filesystem)
    if not kernel.find_program(program):
        package = {"ext4": "e2fsprogs", "xfs": "xfsprogs"}[filesystem]
        raise DriverError(f"cannot find '{program}': install the package '{package}'", "mkfs")


def make(device: str, filesystem: str, arguments: list[str], lock: int) -> None:
    """Make the file system on the block device 'major:minor' and make it durable."""
    path = kernel.device_path(device)
    if filesystem == "xfs":
        run(["mkfs.xfs", *arguments, path], lock)
    else:
        # nodiscard: the device is blank; no lazy initialisation: snapshots would each repeat it.
        options = "nodiscard,lazy_itable_init=0"
        try:
            run(["mkfs.ext4", "-E", f"{options},lazy_journal_init=0", *arguments, path], lock)
        except DriverError:  # an e2fsprogs that does not know lazy_journal_init
            run(["mkfs.ext4", "-E", options, *arguments, path], lock)
        run(["tune2fs", "-c", "-1", "-i", "0", path], lock)
    fd = kernel.open_device(device, os.O_RDWR)
    try:
        with doing(f"flush '{path}'"):
            kernel.bounded(os.fsync, fd)  # a base that is recorded as initialised is on the disk
    finally:
        os.close(fd)


def run(argv: list[str], lock: int) -> None:
    """Run a program to its end. Raises DriverError with what it complained when it fails."""
    exit, said = kernel.run(argv, lock)
    if exit:
        ended = f"ended with {exit}" if exit > 0 else f"was killed by signal {-exit}"
        raise DriverError(f"'{' '.join(argv)}' {ended}: {_reason(said) or 'it gave no reason'}")


def _reason(said: str) -> str:
    """What a program complained, in one line: the cause often stands before the last line."""
    told = "; ".join(line.strip() for line in said.splitlines() if line.strip())[:SAID]
    for theirs, number in OWN_WORDS.items():
        cause = os.strerror(number)
        if theirs in told and cause not in told:
            return f"{told} ({cause})"
    return told


def identify(device: str) -> tuple[str, str]:
    """File system type and UUID on the block device 'major:minor'; ('', '') when it is neither ext4 nor xfs."""
    fd = kernel.open_device(device, os.O_RDONLY)
    try:
        with doing(f"read '{kernel.device_path(device)}'"):
            head = kernel.bounded(os.pread, fd, 4096, 0)
    finally:
        os.close(fd)
    if head[:4] == XFS_MAGIC:
        return "xfs", _uuid(head[32:48])
    if len(head) == 4096 and struct.unpack_from("<H", head, EXT4_SUPERBLOCK + 0x38)[0] == EXT4_MAGIC:
        return "ext4", _uuid(head[EXT4_SUPERBLOCK + 0x68 : EXT4_SUPERBLOCK + 0x78])
    return "", ""


def _uuid(raw: bytes) -> str:
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
