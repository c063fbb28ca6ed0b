"""Loop devices (linux/loop.h): each file attached once, and never without autoclear for longer than it must."""

from __future__ import annotations

import errno
import os
import struct

from . import kernel
from .errors import DriverError, doing, words

LOOP_SET_FD, LOOP_CLR_FD, LOOP_SET_STATUS64, LOOP_GET_STATUS64 = 0x4C00, 0x4C01, 0x4C04, 0x4C05
LOOP_SET_CAPACITY, LOOP_CONFIGURE, LOOP_CTL_GET_FREE = 0x4C07, 0x4C0A, 0x4C82
LO_FLAGS_READ_ONLY, LO_FLAGS_AUTOCLEAR = 1, 4
LOOP_MAJOR = 7
ATTEMPTS = 32  # loop devices that others may snatch before we give up

# struct loop_info64: device, inode, rdevice, offset, sizelimit, number, encrypt_type, encrypt_key_size, flags,
# file_name, crypt_name, encrypt_key, init; struct loop_config: fd, block_size, info, reserved
INFO = struct.Struct("=5Q4I64s64s32s2Q")
CONFIG = struct.Struct(f"=2I{INFO.size}s8Q")


class Loop:
    """An attached loop device, open; closing the last fd of an unused one with autoclear detaches it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        answer = bytearray(INFO.size)
        try:
            kernel.ioctl(fd, LOOP_GET_STATUS64, answer)
        except OSError:
            os.close(fd)
            raise
        number = os.minor(os.fstat(fd).st_rdev)
        self.path = f"/dev/loop{number}"
        self.device = f"{LOOP_MAJOR}:{number}"
        fields = INFO.unpack(answer)
        self.backing = (fields[0], fields[1])  # st_dev, st_ino
        self.whole = fields[3] == 0 and fields[4] == 0  # no offset, no size limit
        self.flags = fields[8]

    def close(self) -> None:
        os.close(self.fd)

    def configure(self, file: str) -> None:
        """Set autoclear and the file's name, and follow the file's size."""
        with doing(f"set autoclear on '{self.path}'"):
            kernel.ioctl(self.fd, LOOP_SET_STATUS64, bytearray(_status(file)))
        if kernel.device_size(self.fd) != os.stat(file).st_size // kernel.SECTOR * kernel.SECTOR:
            with doing(f"follow the size of '{file}' with '{self.path}'"):
                kernel.ioctl(self.fd, LOOP_SET_CAPACITY)

    def detach(self) -> None:
        """Detach now, or at the last close when somebody has it open."""
        with doing(f"detach '{self.path}'"):
            kernel.ioctl(self.fd, LOOP_CLR_FD)


def _status(file: str) -> bytes:
    name = file.encode(errors="surrogateescape")[:63]
    return INFO.pack(0, 0, 0, 0, 0, 0, 0, 0, LO_FLAGS_AUTOCLEAR, name, b"", b"", 0, 0)


def attached(file: str) -> list[Loop]:
    """Every loop device over this very file, opened; the caller closes them."""
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return []
    numbers = [int(n[4:]) for n in os.listdir("/sys/block") if n[:4] == "loop" and n[4:].isdigit()]
    loops = []
    for number in sorted(numbers):
        if not os.path.exists(f"/sys/block/loop{number}/loop"):
            continue
        try:
            loop = Loop(_open(number, os.O_RDONLY))  # closing a writable one would make udev scan it
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENOENT):  # detached since we looked
                continue
            raise DriverError(f"cannot look at '/dev/loop{number}': {words(error)}") from error
        if loop.backing == (found.st_dev, found.st_ino):
            loops.append(loop)
        else:
            loop.close()
    return loops


def attach(file: str) -> Loop:
    """Attach a file, or take the loop device that an earlier run left over it; surplus ones are detached."""
    taken: Loop | None = None
    for loop in attached(file):
        if taken is None and loop.whole and not loop.flags & LO_FLAGS_READ_ONLY:
            taken = loop
        else:
            loop.detach()
            loop.close()
    if taken:
        taken.configure(file)
        return taken
    with doing(f"open '{file}'"):
        backing = os.open(file, os.O_RDWR)
    try:
        return _attach_new(file, backing)
    finally:
        os.close(backing)


def _attach_new(file: str, backing: int) -> Loop:
    why = errno.EBUSY
    for _ in range(ATTEMPTS):
        with doing(f"find a free loop device for '{file}'"):
            control = os.open("/dev/loop-control", os.O_RDWR)
            try:
                number = kernel.ioctl(control, LOOP_CTL_GET_FREE)
            finally:
                os.close(control)
        try:
            fd = _open(number, os.O_RDWR)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENXIO, errno.EBUSY):
                raise DriverError(f"cannot open '/dev/loop{number}': {words(error)}") from error
            why = error.errno or why  # its node is late, or somebody removed the device
            kernel.wait_until(lambda: False, kernel.PAUSE)
            continue
        try:
            _configure(fd, file, backing)
        except OSError as error:
            os.close(fd)
            if error.errno != errno.EBUSY:  # somebody was faster; the next GET_FREE names another
                what = f"cannot attach '{file}' to '/dev/loop{number}'"
                raise DriverError(f"{what}: {words(error)}") from error
            continue
        with doing(f"look at '/dev/loop{number}'"):
            return Loop(fd)
    raise DriverError(f"cannot attach '{file}' to a loop device after {ATTEMPTS} attempts: {os.strerror(why)}")


def _configure(fd: int, file: str, backing: int) -> None:
    try:
        kernel.ioctl(fd, LOOP_CONFIGURE, bytearray(CONFIG.pack(backing, 0, _status(file), *[0] * 8)))
        return
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTTY):  # kernels before 5.8 do not know the request
            raise
    kernel.ioctl(fd, LOOP_SET_FD, backing)
    try:
        kernel.ioctl(fd, LOOP_SET_STATUS64, bytearray(_status(file)))
    except OSError:
        kernel.ioctl(fd, LOOP_CLR_FD)
        raise


def _open(number: int, flags: int) -> int:
    return os.open(f"/dev/loop{number}", flags)
