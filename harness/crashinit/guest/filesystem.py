"""What a read-only look at a file system finds: blkid(8), and the check that its type has."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from . import process
from .names import read_text

TOOL_LIMIT = 30.0  # seconds for one tool
CHECKS = {
    "xfs": ("xfs_repair", "-n"),
    "btrfs": ("btrfs", "check", "--readonly"),
    **dict.fromkeys(("ext2", "ext3", "ext4"), ("e2fsck", "-fn")),
}
MOUNTED = {"btrfs": ("--force",)}  # what a check is told of a file system that is mounted, and frozen
FIFREEZE, FITHAW = 0xC0045877, 0xC0045878  # <linux/fs.h>
SECTOR = 512  # bytes; sysfs counts sizes in them
UNKNOWN_FILESYSTEM = 2  # blkid's exit status when it recognises nothing


def filesystem(path: str, size: int, *, is_mounted: bool = False) -> dict[str, Any]:
    """What blkid and a read-only check say of a device or an image, as contract.observation.Filesystem.

    Raises ToolError when a tool is missing or too slow, ValueError when it hangs or cannot make sense of what is there.
    """
    found = {"device_size": size, **identified(path)}
    fstype = found["fstype"]
    if fstype not in CHECKS:
        return {**found, "check_argv": [], "check_exit": 0, "check_output": ""}
    of_a_file = ("-f",) if fstype == "xfs" and not path.startswith("/dev/") else ()
    check = _tool([*CHECKS[fstype], *(MOUNTED.get(fstype, ()) if is_mounted else of_a_file), path])
    return {**found, "check_argv": check.argv, "check_exit": check.exit, "check_output": check.output}


def identified(path: str) -> dict[str, str]:
    """Type and UUID of what is on a device or an image, "" where nothing is recognised; raises as `filesystem` does."""
    blkid = _tool(["blkid", "-p", "-u", "filesystem", "-o", "export", path])
    if blkid.exit not in (0, UNKNOWN_FILESYSTEM):
        raise ValueError(f"blkid ended with {blkid.exit}: {' '.join(blkid.output.split())}")
    facts = dict(line.split("=", 1) for line in blkid.stdout.decode("utf-8", "replace").splitlines() if "=" in line)
    fstype = facts.get("TYPE", "")
    return {"fstype": fstype, "uuid": facts.get("UUID", "")}


def frozen(node: str, point: str) -> dict[str, Any]:
    """The same of a device in use: while it is looked at, what is mounted at `point` ("": nothing is) stands still.

    A file system that is frozen has written what it held back, so that a check finds it as after an unmount
    (fsfreeze(8)). Raises OSError, ToolError, ValueError.
    """
    size = SECTOR * int(read_text(Path("/sys/class/block") / Path(node).name / "size") or 0)
    if not point:
        return filesystem(node, size)
    with _standing_still(point):
        with suppress(OSError), Path(node).open("rb") as device:
            os.posix_fadvise(device.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # its page cache may be older
        return filesystem(node, size, is_mounted=True)


@contextmanager
def _standing_still(point: str) -> Iterator[None]:
    fd = os.open(point, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(fd, FIFREEZE, 0)
        try:
            yield
        finally:
            fcntl.ioctl(fd, FITHAW, 0)
    finally:
        os.close(fd)


def _tool(argv: list[str]) -> process.Ended:
    return process.tool(argv, TOOL_LIMIT)
