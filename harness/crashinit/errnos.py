"""Which errors a system call may return, so that only such are injected.

From the man pages (mkdir(2), open(2), ftruncate(2), write(2), fsync(2), rename(2), unlink(2), execve(2), mount(2),
loop(4)) and the kernel's sources (drivers/block/loop.c, drivers/md/dm-ioctl.c, drivers/md/dm-thin.c), for the six
errors that storage code meets: EIO, ENOSPC, ENOMEM, EBUSY, EAGAIN, EINTR.
"""

import errno
from typing import Literal

Errno = Literal["EIO", "ENOSPC", "ENOMEM", "EBUSY", "EAGAIN", "EINTR"]
ERRNOS: tuple[Errno, ...] = ("EIO", "ENOSPC", "ENOMEM", "EBUSY", "EAGAIN", "EINTR")

# By the kind of operation; for a message, also by its verb.
RETURNS: dict[str, tuple[str, ...]] = {
    "file.mkdir": ("EIO", "ENOSPC", "ENOMEM"),
    "file.create": ("EIO", "ENOSPC", "ENOMEM", "EINTR"),
    "file.truncate": ("EIO", "ENOSPC", "EINTR"),
    "file.write": ("EIO", "ENOSPC", "EINTR"),
    "file.fsync": ("EIO", "ENOSPC", "EINTR"),
    "file.rename": ("EIO", "ENOSPC", "ENOMEM", "EBUSY"),
    "file.unlink": ("EIO", "ENOMEM", "EBUSY"),
    "file.rmdir": ("EIO", "ENOMEM", "EBUSY"),
    "dev.write": ("EIO", "ENOSPC", "EINTR"),
    "dev.fsync": ("EIO", "ENOSPC"),
    "dev.discard": ("EIO", "ENOMEM", "EINTR"),
    "loop.get-free": ("ENOSPC", "ENOMEM", "EINTR"),  # ENOSPC: idr_alloc has no number left
    "loop.configure": ("EBUSY", "ENOMEM", "EINTR"),  # EBUSY: another has taken the device since get-free
    "loop.set-fd": ("EBUSY", "ENOMEM", "EINTR"),
    "loop.set-status": ("EAGAIN", "EINTR"),  # EAGAIN: dirty pages under a changed offset
    "loop.clr-fd": ("EBUSY", "EINTR"),
    "dm.create": ("EBUSY", "ENOMEM"),  # EBUSY: the name or uuid is taken
    "dm.table-load": ("EIO", "ENOSPC", "ENOMEM", "EBUSY"),  # a target's constructor reads and formats its metadata
    "dm.resume": ("EIO", "ENOSPC", "ENOMEM"),
    "dm.suspend": ("EIO", "ENOMEM", "EINTR"),
    "dm.remove": ("EBUSY", "ENOMEM"),
    "dm.message": ("EIO", "ENOSPC", "ENOMEM"),
    "file.link": ("EIO", "ENOSPC", "ENOMEM"),
    "exec": ("EIO", "ENOMEM", "EAGAIN"),
    "mount.mount": ("EIO", "ENOMEM", "EBUSY"),
    "mount.umount": ("EBUSY", "ENOMEM"),
}


def errors_of(kind: str) -> tuple[str, ...]:
    """The names of the errors that an operation of this kind may return; none for the end of a process."""
    return RETURNS.get(kind, () if kind == "exit" else ("EIO", "ENOMEM"))


def number(name: str) -> int:
    """The number of an error by its name."""
    return int(getattr(errno, name))
