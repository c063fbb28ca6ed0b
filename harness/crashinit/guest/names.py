"""What things are called in an operation's key: names that are the same in every run of the same driver."""
# Plain os calls, not pathlib: this runs at every stopped call, in an emulated machine.
# ruff: noqa: PTH116, PTH119

import functools
import os
import re
import stat
import sys
from pathlib import Path

SYS_BLOCK = Path("/sys/dev/block")
READ = 16 << 10  # bytes at a time
# docker-8:1-1234-, container-8:1-1234-: the driver's prefix with the device and inode of its root
PREFIX = re.compile(r"^[a-z]+-\d+:\d+-\d+-")
TEMPORARY = [".tmp"]  # what the names of temporary files begin with; a family's part may add some
# hashes, and the number that Go's os.MkdirTemp and os.CreateTemp end a name with
RANDOM = re.compile(r"[0-9a-f]{32,}|(?<=[a-z._-])[0-9]{7,}$")


def dm_object(name: str) -> str:
    """A dm device's name without what differs between runs: 'pool', 'base'."""
    return RANDOM.sub("*", PREFIX.sub("", name))


def steady(path: str) -> str:
    """A path without what differs between runs: '.tmp123' becomes '.tmp*'."""
    return RANDOM.sub("*", temporary(tuple(TEMPORARY)).sub(r"\1\2*", path))


@functools.cache
def temporary(beginnings: tuple[str, ...]) -> re.Pattern[str]:
    """What matches a temporary file's name in a path."""
    return re.compile(rf"(^|/)({'|'.join(map(re.escape, beginnings))})[^/]+")


def below(path: str, root: str) -> bool:
    """Whether the path is the root or lies below it."""
    return path == root or path.startswith(root + "/")


class Places:
    """Which places count for a driver with this root, and what they are called."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        self._blocks: dict[int, str] = {}  # until a device changes

    def file(self, path: str) -> str | None:
        """The object that a path stands for; None if it does not concern the driver.

        Paths count below the root (relative to it), above it (its own directories being made), and where the
        nodes of dm and loop devices live.
        """
        if path == self.root:
            return "."
        if below(path, self.root):
            return steady(path[len(self.root) + 1 :])
        if below(self.root, path) and path != "/":
            return path
        if path.startswith("/dev/mapper/"):
            return "/dev/mapper/" + dm_object(path.removeprefix("/dev/mapper/"))
        return path if path.startswith(("/dev/loop", "/dev/dm-")) else None

    def block(self, device: int, path: str) -> str:
        """The object that a block device stands for: a dm device's name, a loop device's role, or the node's path."""
        if device not in self._blocks:
            self._blocks[device] = self._block(device, path)
        return self._blocks[device]

    def changed(self) -> None:
        """Devices come and go: their numbers may stand for others from now on."""
        self._blocks.clear()

    def _block(self, device: int, path: str) -> str:
        base = SYS_BLOCK / f"{os.major(device)}:{os.minor(device)}"
        name = read_text(base / "dm/name")
        if name:
            return dm_object(name)
        if os.path.basename(path).startswith("loop"):
            return self.role(read_text(base / "loop/backing_file").removesuffix(" (deleted)"))
        return path

    def role(self, backing: str) -> str:
        """What a loop device is for, by its backing file: 'data', 'metadata'; 'loop*' if that is not known."""
        return steady(os.path.basename(backing)) if below(backing, self.root) else "loop*"

    def opened(self, link: str, node: str) -> tuple[str, str] | None:
        """("file" or "dev", object) of an open file, by its /proc/PID/fd link; None if it does not count."""
        path = link.removesuffix(" (deleted)")
        if path.startswith("/dev/") and not path.startswith(("/dev/shm/", "/dev/pts/")):
            status = os.stat(node)
            if stat.S_ISBLK(status.st_mode):
                return "dev", self.block(status.st_rdev, path)
            return None
        place = self.file(path)
        return ("file", place) if place is not None else None


def read_bytes(path: Path | str, limit: int = sys.maxsize) -> bytes:
    """A file's content, as much as the limit. Raises OSError.

    Without a file object: to make one costs an emulated machine more than to read what /proc and /sys hold.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts, left = [], limit
        while left > 0 and (part := os.read(fd, min(READ, left))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def read_text(path: Path | str) -> str:
    """The text of a small file without its line end; empty if it cannot be read."""
    try:
        return read_bytes(path).decode("utf-8", "replace").rstrip("\n")
    except OSError:
        return ""
