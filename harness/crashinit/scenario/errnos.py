"""Which errors a system call may return, so that only such are injected.

From the man pages (mkdir(2), open(2), ftruncate(2), write(2), fsync(2), rename(2), unlink(2), execve(2), mount(2),
loop(4), io_submit(2), semget(2), pipe(2), clone(2)) and the kernel's sources (drivers/block/loop.c, block/blk-core.c,
drivers/md/dm-ioctl.c, drivers/md/dm-thin.c), for the errors that storage code meets. An error that would be a lie is
left out: a file that is there is never "not found", but a device's node may be late.
"""

import errno
from typing import Literal, get_args

Errno = Literal[
    "EIO", "ENOSPC", "ENOMEM", "EBUSY", "EAGAIN", "EINTR",
    "EMFILE", "ENFILE", "ENXIO", "ENOENT", "EACCES", "EINVAL", "ENODATA", "EEXIST",
]  # fmt: skip
ERRNOS: tuple[Errno, ...] = get_args(Errno)
NO_MORE_FILES = ("EMFILE", "ENFILE")

# By the kind of operation; for a message, also by its verb.
RETURNS: dict[str, tuple[str, ...]] = {
    "file.mkdir": ("EIO", "ENOSPC", "ENOMEM"),
    "file.create": ("EIO", "ENOSPC", "ENOMEM", "EINTR", "EACCES", *NO_MORE_FILES),
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
    "dm.table-load": (
        "EIO",
        "ENOSPC",
        "ENOMEM",
        "EBUSY",
        "EINVAL",
    ),  # a target's constructor reads and formats its metadata
    "dm.resume": ("EIO", "ENOSPC", "ENOMEM"),
    "dm.suspend": ("EIO", "ENOMEM", "EINTR"),
    "dm.remove": ("EBUSY", "ENOMEM"),
    "dm.message": ("EIO", "ENOSPC", "ENOMEM", "EINVAL"),
    "file.link": ("EIO", "ENOSPC", "ENOMEM"),
    "exec": ("EIO", "ENOMEM", "EAGAIN"),
    "mount.mount": ("EIO", "ENOMEM", "EBUSY"),
    "mount.umount": ("EBUSY", "ENOMEM"),
    "mount.create": ("EIO", "ENOMEM", "EBUSY", "EINVAL"),
    "mount.reconfigure": ("EIO", "ENOMEM", "EBUSY"),
    "file.submit": ("EAGAIN",),  # an error of the device itself comes later, in io_getevents
    "dev.submit": ("EAGAIN",),
    "file.msync": ("EIO", "EBUSY"),
    "dev.msync": ("EIO", "EBUSY"),
    "file.setxattr": ("EIO", "ENOSPC", "ENOMEM"),
    "dev.flush": ("EIO",),
    "fs.resize": ("EIO", "ENOSPC", "ENOMEM", "EBUSY"),
    "fs.freeze": ("EIO", "EBUSY", "EINTR"),
    "sem.create": ("ENOSPC", "ENOMEM", "EEXIST"),
    "sem.wait": ("EINTR", "EAGAIN"),
    "sem.change": ("ENOMEM", "EAGAIN"),
    # What only asks
    "file.open": ("EIO", "ENOMEM", "EACCES", *NO_MORE_FILES),
    "dev.open": ("EIO", "ENOMEM", "EBUSY", "EACCES", "ENXIO", "ENOENT", *NO_MORE_FILES),
    "dev.read": ("EIO", "EINTR", "ENODATA"),  # ENODATA: the medium has lost it (blk_errors)
    "dev.get-size": (),
    "loop.get-status": ("ENXIO",),
    "dm.version": ("ENOMEM",),
    "dm.list": ("ENOMEM",),
    "dm.targets": ("ENOMEM",),
    **dict.fromkeys(("dm.info", "dm.wait", "dm.deps", "dm.status", "dm.table"), ("ENXIO", "ENOMEM")),
    "process.clone": ("EAGAIN", "ENOMEM"),
    "process.pipe": NO_MORE_FILES,
}


def errors_of(kind: str) -> tuple[str, ...]:
    """The names of the errors that an operation of this kind may return; none for the end of a process."""
    return RETURNS.get(kind, () if kind == "exit" else ("EIO", "ENOMEM"))


def number(name: str) -> int:
    """The number of an error by its name."""
    return int(getattr(errno, name))
